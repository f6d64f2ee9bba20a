{
  description = "Slipway: nginx, uWSGI, Django and PostgreSQL with one command";

  # The one input. To move it: `nix flake update`, read nixpkgs' release notes, `nix flake check`, commit both files.
  # 26.05 is supported to the end of 2026; then the branch named here becomes nixos-26.11.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { nixpkgs, ... }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      forEachSystem = f: lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});

      # What the Makefile and the scripts in bin/ call.
      tools =
        pkgs:
        [
          pkgs.bash
          pkgs.coreutils
          pkgs.curl
          pkgs.git
          pkgs.gnumake
          pkgs.jq
          pkgs.openssl
          # Django's makemessages; catalogues are compiled without it.
          pkgs.gettext

          # The Python of the images comes first: it is the `python3` of this shell. Locks are written with the lowest.
          pkgs.python313
          pkgs.python311

          # The local engine prefers these to the wheels.
          pkgs.nginx
          pkgs.postgresql_17

          # The Docker engine; its daemon is the system's.
          pkgs.docker-client
          pkgs.docker-buildx
          pkgs.docker-compose

          # For editors, and where a wheel carries no binary.
          pkgs.actionlint
          pkgs.hadolint
          pkgs.nixfmt
          pkgs.shellcheck
          pkgs.shfmt
        ]
        ++ lib.optionals pkgs.stdenv.hostPlatform.isLinux [
          # uWSGI loads Python as a plugin, built for the interpreter that the application runs on.
          (pkgs.uwsgi.override {
            plugins = [ "python3" ];
            python3 = pkgs.python313;
          })
          # The base image, where no registry answers.
          pkgs.mmdebstrap
          # The browser of tests/stack.
          pkgs.chromium
        ];
    in
    {
      devShells = forEachSystem (pkgs: {
        default = pkgs.mkShellNoCC {
          packages = tools pkgs;
          # Nix sets these for its own builds: one would date every image to 1980, the other leak packages into .venv.
          shellHook = "unset SOURCE_DATE_EPOCH PYTHONPATH";
        };
      });

      # Every attribute above exists, builds, and answers.
      checks = forEachSystem (pkgs: {
        tools = pkgs.runCommand "slipway-tools" { nativeBuildInputs = tools pkgs; } (
          ''
            actionlint -version
            bash --version
            curl --version
            docker --version
            docker-buildx version
            docker-compose version
            git --version
            hadolint --version
            jq --version
            make --version
            msgfmt --version
            nginx -v
            nixfmt --version
            openssl version
            postgres --version
            python3 --version | grep -F 'Python 3.13.'
            python3.11 --version
            sha256sum --version
            shellcheck --version
            shfmt --version
          ''
          + lib.optionalString pkgs.stdenv.hostPlatform.isLinux ''
            uwsgi --version
            mmdebstrap --version
            HOME=$TMPDIR chromium --version
          ''
          + "touch $out\n"
        );
      });

      formatter = forEachSystem (pkgs: pkgs.nixfmt);
    };
}
