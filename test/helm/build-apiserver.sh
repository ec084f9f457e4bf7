#!/usr/bin/env bash
# Builds a kube-apiserver for apiserver.test.ts; needs Go, some minutes and 2 GB. By hand: test/helm/build-apiserver.sh v1.30.14 FILE
# `go install` refuses it, because its module replaces others by folders of its own repository; here they are replaced by their releases.
set -euo pipefail
version=${1:?a release of Kubernetes, such as v1.30.14} file=$(realpath "${2:?the file to make}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >main.go <<'GO'
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() { os.Exit(cli.Run(app.NewAPIServerCommand())) }
GO
go mod init apiserver
source=$(go mod download -json "k8s.io/kubernetes@$version" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
for module in $(sed -n 's/^\t\?\(replace \)\?\(k8s.io[^ ]*\) => \.\/staging.*/\2/p' "$source/go.mod"); do
  go mod edit -replace "$module=$module@v0.${version#v1.}"
done
go mod edit -require "k8s.io/kubernetes@$version"
go mod tidy -e >/dev/null 2>&1
name=k8s.io/component-base/version minor=${version#v1.}
go build -trimpath -ldflags "-s -w -X $name.gitVersion=$version -X $name.gitMajor=1 -X $name.gitMinor=${minor%.*}" -o "$file" .
"$file" --version
