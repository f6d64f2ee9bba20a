# Every verb of Slipway. A recipe calls a script of bin/; `make` alone prints the verbs.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
SHELL := /bin/sh

##@ Run
.PHONY: dev
dev: ## Run the stack with live reload (ENGINE=docker|local PORT=8000 DETACH=1)
	@bin/stack up dev
.PHONY: prod-up
prod-up: ## Run the stack with production settings (DOMAIN= EMAIL= HTTP_PORT= HTTPS_PORT= RELEASE=)
	@bin/stack up prod
.PHONY: deploy
deploy: ## Replace the running release without dropping a request (RELEASE= DB=1)
	@bin/stack deploy
.PHONY: rollback
rollback: ## Return to the release before
	@bin/stack rollback
.PHONY: releases
releases: ## List what was deployed, when, with which migrations, and how it ended
	@bin/stack releases
.PHONY: down
down: ## Stop the stack; the data is kept
	@bin/stack down
.PHONY: ps
ps: ## Show each part: health, release, uptime, how busy (JSON=1)
	@bin/stack ps
.PHONY: logs
logs: ## Show the log and follow it (REQUEST=id SERVICE=web LEVEL=warning SINCE=10m FOLLOW=0|1)
	@bin/stack logs
.PHONY: cert
cert: ## Show the certificate: from whom, until when (FULLCHAIN= KEY= puts your own in its place; RENEW=1)
	@bin/stack cert

##@ Work
.PHONY: shell
shell: ## Open Django's shell
	@bin/stack manage shell
.PHONY: psql
psql: ## Open PostgreSQL's shell
	@bin/stack psql
.PHONY: manage
manage: ## Run a management command (CMD="createsuperuser")
	@bin/stack manage $(CMD)
.PHONY: migrate
migrate: ## Apply the migrations
	@bin/stack manage migrate
.PHONY: seed
seed: ## Load the sample content (SCALE=100000 generates that many articles)
	@bin/stack manage seed $(if $(SCALE),--scale "$(SCALE)")

##@ Backups
.PHONY: backup
backup: ## Take a backup now (TYPE=full|diff|incr)
	@bin/backup take
.PHONY: backups
backups: ## List the backups: age, size, how far back one can go, archive, last drill
	@bin/backup list
.PHONY: restore
restore: ## Restore beside, verify, swap: to the newest, or to a moment (TO="2026-11-22 10:15:00+08" FORCE=1)
	@bin/backup restore
.PHONY: restore-confirm
restore-confirm: ## Delete what the last restore or upgrade has kept
	@bin/backup confirm
.PHONY: restore-undo
restore-undo: ## Go back to what was before the last restore or upgrade (FORCE=1)
	@bin/backup undo
.PHONY: restore-drill
restore-drill: ## Prove that a restore works, beside the site; prints RPO and RTO
	@bin/backup drill
.PHONY: export-db
export-db: ## Write the database to a file that any PostgreSQL of this version or newer reads (FILE=blog.dump)
	@bin/backup export
.PHONY: import-db
import-db: ## Put such a file in the database's place (FILE=blog.dump FORCE=1)
	@bin/backup import
.PHONY: db-upgrade
db-upgrade: ## Move the database to the next major version of PostgreSQL (RELEASE= FORCE=1)
	@bin/backup upgrade

##@ Check
.PHONY: test
test: ## Run all tests (ARGS="-k name tests/web")
	@bin/test $(ARGS)
.PHONY: chaos
chaos: ## Run the scenarios of deploys and faults at full length, print a table (ARGS="-k killed")
	@bin/chaos
.PHONY: lint
lint: ## Check style, types, templates, Dockerfiles, shell scripts and locks
	@bin/venv dev
	@bin/lint
.PHONY: fmt
fmt: ## Format the code
	@bin/venv dev
	@bin/fmt
.PHONY: bench
bench: ## Measure start, sizes, memory and builds; table and build/bench.json
	@bin/bench $(ARGS)
.PHONY: bench-build
bench-build: ## Measure a cold build of the images, and one after each kind of change
	@bin/bench build
.PHONY: doctor
doctor: ## List what this machine has and lacks for each engine
	@bin/doctor

##@ Build
.PHONY: build
build: ## Build the images (base, web, web-dev, proxy, db)
	@bin/build base web web-dev proxy db
.PHONY: base
base: ## Get the Debian base image: pulled by digest, or built from Debian's archive
	@bin/base
.PHONY: lock
lock: ## Resolve the requirements and the Debian packages anew and write the locks
	@bin/lock
	@bin/apt-lock
.PHONY: lock-check
lock-check: ## Check offline that the locks are whole and match what is asked for
	@status=0; bin/lock --check || status=1; bin/apt-lock --check || status=1; \
	  [ $$status = 0 ] && echo "the locks are whole, and are those of what is asked for"
.PHONY: outdated
outdated: ## List what is newer than the locks: Python packages, Debian packages
	@bin/outdated
.PHONY: sbom
sbom: ## Write a bill of materials for each image, checked against the locks, in build/sbom/
	@bin/sbom
.PHONY: scan
scan: ## Look for known vulnerabilities of what is locked and installed (DEBIAN_FEED= PYTHON_FEED_URL= FAIL_ON=any)
	@bin/scan
.PHONY: clean
clean: ## Remove what was built; DATA=1 removes the databases and secrets of this checkout too
	@bin/clean
.PHONY: help
help: ## Print this list
	@awk 'BEGIN {FS = ":.*## "; printf "Slipway: a Django site, from one command to production.\n\nUsage: make VERB [NAME=value …]\n"} \
	  /^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

##@ Release
.PHONY: verify
verify: ## Build all images twice, cold, and compare them byte for byte (AGAINST=digests.json STRICT=1)
	@bin/verify
.PHONY: release
release: ## Write build/release-VERSION: verified images, digests, provenance (VERSION= KEY=)
	@bin/release
.PHONY: verify-release
verify-release: ## Check a release: whole, unchanged, and by whom (RELEASE=directory PUBLIC_KEY=)
	@bin/verify-release
