{
  description = "Stands in for nixpkgs in test_flake.py: it has the attributes named in attributes.txt and no other";

  outputs =
    _:
    let
      genAttrs =
        names: f:
        builtins.listToAttrs (
          map (name: {
            inherit name;
            value = f name;
          }) names
        );
      words = line: builtins.filter builtins.isString (builtins.split " +" line);
      lines = builtins.filter builtins.isString (builtins.split "\n" (builtins.readFile ./attributes.txt));
      names = builtins.filter (name: name != "" && name != "#") (map (line: builtins.head (words line)) lines);
      describe =
        package:
        removeAttrs package [
          "outPath"
          "override"
        ];
    in
    {
      lib = {
        inherit genAttrs;
        getExe = program: program;
        makeLibraryPath = packages: builtins.concatStringsSep ":" (map (package: "${package}/lib") packages);
        optionalAttrs = condition: attributes: if condition then attributes else { };
        optionalString = condition: string: if condition then string else "";
        optionals = condition: list: if condition then list else [ ];
      };
      legacyPackages =
        genAttrs
          [
            "x86_64-linux"
            "aarch64-linux"
            "x86_64-darwin"
            "aarch64-darwin"
          ]
          (
            system:
            genAttrs names (name: {
              inherit name;
              outPath = "/nixpkgs/${name}";
              override =
                { plugins, python3 }:
                {
                  inherit name plugins;
                  outPath = "/nixpkgs/${name}";
                  python3 = python3.name;
                };
            })
            // {
              stdenv = {
                cc.cc.lib.outPath = "/nixpkgs/gcc-lib";
                hostPlatform.isLinux = builtins.match ".*-linux" system != null;
              };
              mkShellNoCC = arguments: arguments // { packages = map (package: package.name) arguments.packages; };
              runCommand =
                name:
                {
                  nativeBuildInputs,
                  LANG ? "",
                }:
                script: {
                  inherit name script LANG;
                  tools = map describe nativeBuildInputs;
                };
              writeShellApplication =
                {
                  name,
                  runtimeInputs,
                  runtimeEnv,
                  text,
                }:
                {
                  inherit name runtimeEnv text;
                  runtimeInputs = map (package: package.name) runtimeInputs;
                };
            }
          );
    };
}
