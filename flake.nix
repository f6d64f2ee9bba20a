{
  description = "Slipway: nginx, uWSGI, Django and PostgreSQL with one command";

  # The one input; docs/development.md says how it is moved. 26.05 is supported to the end of 2026.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      linux = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      # For the shell and the checks; the local engine needs Linux.
      systems = linux ++ [
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      forEach = names: f: lib.genAttrs names (system: f nixpkgs.legacyPackages.${system});

      # uWSGI loads Python as a plugin, built for the interpreter that the application runs on.
      uwsgi =
        pkgs:
        pkgs.uwsgi.override {
          plugins = [ "python3" ];
          python3 = pkgs.python313;
        };

      # The local engine with servers of nixpkgs: docs/configuration.md explains the variables.
      engine = pkgs: {
        NGINX_PROGRAM = "${pkgs.nginx}/bin/nginx";
        POSTGRES_BIN = "${pkgs.postgresql_17}/bin";
        SERVER_PROGRAM = "${uwsgi pkgs}/bin/uwsgi";
        PYTHON = "${pkgs.python313}/bin/python3";
        WHEEL_LIBRARIES = lib.makeLibraryPath [
          pkgs.stdenv.cc.cc.lib
          pkgs.zlib
        ];
        # Beside those of the wheels, whose PostgreSQL is another major.
        VENV = ".venv-nix";
        LOCAL_STATE = ".local/nix";
      };

      # What make and the scripts of the local engine call.
      scripts = pkgs: [
        pkgs.bash
        pkgs.coreutils
        pkgs.findutils
        pkgs.gawk
        pkgs.gnugrep
        pkgs.gnumake
        pkgs.gnused
      ];

      # What bin/lint calls, but for mypy.
      linters = pkgs: [
        pkgs.actionlint
        pkgs.check-jsonschema
        pkgs.deadnix
        pkgs.djlint
        pkgs.hadolint
        pkgs.nixfmt
        pkgs.ruff
        pkgs.shellcheck
        pkgs.shfmt
        pkgs.statix
        pkgs.zizmor
      ];

      # What the Makefile and the scripts in bin/ call.
      tools =
        pkgs:
        scripts pkgs
        ++ linters pkgs
        ++ [
          pkgs.curl
          pkgs.git
          pkgs.jq
          pkgs.openssh
          pkgs.openssl
          # Django's makemessages; catalogues are compiled without it.
          pkgs.gettext

          # The Python of the images comes first: it is the `python3` of this shell. Locks are written with the lowest.
          pkgs.python313
          pkgs.python311

          pkgs.nginx
          pkgs.postgresql_17

          # The Docker engine; its daemon is the system's.
          pkgs.docker-client
          pkgs.docker-buildx
          pkgs.docker-compose
        ]
        ++ lib.optionals pkgs.stdenv.hostPlatform.isLinux [
          (uwsgi pkgs)
          # The base image, where no registry answers.
          pkgs.mmdebstrap
          # One start of a stack at a time: flock.
          pkgs.util-linux
          # The browser of tests/stack.
          pkgs.chromium
        ];
    in
    {
      devShells = forEach systems (pkgs: {
        default = pkgs.mkShellNoCC (
          {
            packages = tools pkgs;
            # Nix sets these for its own builds: one would date every image to 1980, the other leak packages into .venv.
            shellHook = "unset SOURCE_DATE_EPOCH PYTHONPATH";
          }
          // lib.optionalAttrs pkgs.stdenv.hostPlatform.isLinux (engine pkgs)
        );
      });

      apps = forEach linux (
        pkgs:
        let
          dev = {
            type = "app";
            program = lib.getExe (
              pkgs.writeShellApplication {
                name = "slipway-dev";
                runtimeInputs = scripts pkgs;
                runtimeEnv = engine pkgs;
                text = ''
                  if ! [[ -f Makefile && -f services/web/serve.py ]]; then
                    echo "slipway-dev: $PWD is not the top of a checkout of Slipway: go there first" >&2
                    exit 1
                  fi
                  exec make dev ENGINE=local "$@"
                '';
              }
            );
          };
        in
        {
          inherit dev;
          default = dev;
        }
      );

      checks = forEach systems (pkgs: {
        lint =
          pkgs.runCommand "slipway-lint"
            {
              nativeBuildInputs = linters pkgs;
              # Haskell's programs read files in it.
              LANG = "C.UTF-8";
            }
            ''
              cp -r ${self} checkout
              chmod -R u+w checkout
              bash checkout/bin/lint --system
              touch $out
            '';

        # Every attribute above exists, builds, and answers; the servers and Python in the majors of the images.
        tools = pkgs.runCommand "slipway-tools" { nativeBuildInputs = tools pkgs; } (
          ''
            actionlint -version
            awk --version
            bash --version
            check-jsonschema --version
            curl --version
            deadnix --version
            djlint --version
            docker --version
            docker-buildx version
            docker-compose version
            find --version
            git --version
            grep --version
            hadolint --version
            jq --version
            make --version
            msgfmt --version
            nginx -v
            nixfmt --version
            openssl version
            ssh -V
            postgres --version | grep -F '(PostgreSQL) 17.'
            python3 --version | grep -F 'Python 3.13.'
            python3.11 --version
            ruff --version
            sed --version
            sha256sum --version
            shellcheck --version
            shfmt --version
            statix --help
            zizmor --version
          ''
          + lib.optionalString pkgs.stdenv.hostPlatform.isLinux ''
            uwsgi --plugin python3 --python-version | grep -F '3.13.'
            uwsgi --version | grep -F '2.0.'
            mmdebstrap --version
            flock --version
            HOME=$TMPDIR chromium --version
          ''
          + "touch $out\n"
        );
      });

      formatter = forEach systems (pkgs: pkgs.nixfmt);
    };
}
