# How the images are built. `bin/build` sets the variables: most come from pins.env.

variable "BASE_IMAGE" {}
variable "PYTHON_VERSION" {}
variable "SOURCE_DATE_EPOCH" {}
variable "SNAPSHOT_URL" {}

variable "RELEASE" {
  default = "dev"
}

# Extra certificate authorities, for networks that intercept TLS: a file, used while building and never in a layer.
variable "CA_BUNDLE" {
  default = ""
}

# 1: a Debian package whose locked version is gone stops the build.
variable "STRICT" {
  default = "0"
}

group "default" {
  targets = ["web", "proxy", "db"]
}

target "common" {
  context = "."
  args = {
    SOURCE_DATE_EPOCH = SOURCE_DATE_EPOCH
    STRICT            = STRICT
  }
  secret = CA_BUNDLE == "" ? [] : ["id=ca,src=${CA_BUNDLE}"]
  # It carries the time of the build.
  attest = ["type=provenance,disabled=true"]
}

target "base" {
  inherits   = ["common"]
  dockerfile = "services/base/Dockerfile"
  args = {
    BASE_IMAGE   = BASE_IMAGE
    SNAPSHOT_URL = SNAPSHOT_URL
  }
  tags = ["slipway/base:${RELEASE}"]
}

target "service" {
  inherits = ["common"]
  contexts = {
    base = "target:base"
  }
}

target "web" {
  inherits   = ["service"]
  dockerfile = "services/web/Dockerfile"
  target     = "web"
  args = {
    PYTHON_VERSION = PYTHON_VERSION
  }
  tags = ["slipway/web:${RELEASE}"]
}

target "web-dev" {
  inherits = ["web"]
  target   = "web-dev"
  tags     = ["slipway/web-dev:${RELEASE}"]
}

target "proxy" {
  inherits   = ["service"]
  dockerfile = "services/proxy/Dockerfile"
  tags       = ["slipway/proxy:${RELEASE}"]
}

target "db" {
  inherits   = ["service"]
  dockerfile = "services/db/Dockerfile"
  tags       = ["slipway/db:${RELEASE}"]
}
