{
  description = "Stands in for nixpkgs in test_flake.py, with what is named here and no more";

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
      strings = builtins.filter builtins.isString;
      lines = strings (builtins.split "\n" (builtins.readFile ./attributes.txt));
      firstWord = line: builtins.head (strings (builtins.split " +" line));
      names = builtins.filter (name: name != "" && name != "#") (map firstWord lines);
      packageNames = map (package: package.name);
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
        makeLibraryPath = names: builtins.concatStringsSep ":" (map (name: "${name}/lib") names);
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
              mkShellNoCC = shell: shell // { packages = packageNames shell.packages; };
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
                  runtimeInputs = packageNames runtimeInputs;
                };
            }
          );
    };
}
