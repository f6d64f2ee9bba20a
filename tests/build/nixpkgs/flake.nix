{
  description = "Stands in for nixpkgs in test_flake.py: it has the attributes named in attributes.txt and no other";

  outputs =
    { ... }:
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
    in
    {
      lib = {
        inherit genAttrs;
        optionals = condition: list: if condition then list else [ ];
        optionalString = condition: string: if condition then string else "";
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
              override = arguments: {
                inherit name;
                plugins = arguments.plugins;
                python3 = arguments.python3.name;
              };
            })
            // {
              stdenv.hostPlatform.isLinux = builtins.match ".*-linux" system != null;
              mkShellNoCC = arguments: arguments // { packages = map (package: package.name) arguments.packages; };
              runCommand = name: arguments: script: {
                inherit name script;
                tools = map (package: removeAttrs package [ "override" ]) arguments.nativeBuildInputs;
              };
            }
          );
    };
}
