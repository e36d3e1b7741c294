{{/* Values written for Dagster's chart: by the table in files/dagster.yaml each of its keys becomes one of ours, is
told in the notes as ignored, or is refused; all refusals are one message. Changes .Values in place. */}}
{{- define "dagwire.dagster" -}}
{{- include "dagwire.dagster.ownImages" . -}}
{{- $refused := list -}}{{- $ignored := .Values.ignoredKeys | default list -}}
{{- range $entry := .Files.Get "files/dagster.yaml" | fromYamlArray -}}
  {{- $parts := splitList "[]." $entry.key -}}
  {{- $roots := list $.Values -}}{{- $path := splitList "." (last $parts) -}}
  {{- if gt (len $parts) 1 -}}
    {{- $roots = list -}}
    {{- if kindIs "map" $.Values.userDeployments -}}
      {{- $deployments := $.Values.userDeployments.deployments | default list -}}
      {{- if kindIs "map" $deployments }}{{ $roots = values $deployments }}{{ else }}{{ $roots = $deployments }}{{ end -}}
    {{- end -}}
  {{- end -}}
  {{- range $root := $roots -}}
    {{- $node := $root -}}{{- $found := true -}}
    {{- range $path -}}
      {{- if and $found (kindIs "map" $node) (hasKey $node .) }}{{ $node = get $node . }}{{ else }}{{ $found = false }}{{ end -}}
    {{- end -}}
    {{- if and $found (or $node (kindIs "bool" $node)) -}}
      {{- if $entry.becomes -}}
        {{- range $target := ternary $entry.becomes (list $entry.becomes) (kindIs "slice" $entry.becomes) -}}
          {{- include "dagwire.dagster.put" (list $root (splitList "." (last (splitList "[]." $target))) $node) -}}
        {{- end -}}
      {{- else if and $node (not (has $node ($entry.harmless | default list))) -}}
        {{- if $entry.refused }}{{ $refused = append $refused (printf "%s: %s" $entry.key $entry.refused) }}
        {{- else }}{{ $ignored = append $ignored (printf "%s: %s" $entry.key $entry.ignored) }}{{ end -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if $refused -}}
  {{- fail (printf "\n\nThese keys of Dagster's chart have no meaning here:\n  - %s\n\nSee docs/how-to/move-from-dagster-chart.md.\n" (join "\n  - " $refused)) -}}
{{- end -}}
{{- with $ignored }}{{ $_ := set $.Values "ignoredKeys" . }}{{ end -}}
{{- include "dagwire.dagster.runs" . -}}
{{- include "dagwire.dagster.database" . -}}
{{- include "dagwire.dagster.ingress" . -}}
{{- end -}}

{{/* Put a value at a path: maps are merged, all else is replaced. Takes a list: map, path, value. */}}
{{- define "dagwire.dagster.put" -}}
{{- $at := index . 0 -}}{{- $path := index . 1 -}}{{- $value := index . 2 -}}
{{- range initial $path -}}
  {{- if not (kindIs "map" (get $at .)) }}{{ $_ := set $at . dict }}{{ end -}}
  {{- $at = get $at . -}}
{{- end -}}
{{- $name := last $path -}}
{{- if and (kindIs "map" $value) (kindIs "map" (get $at $name)) -}}
  {{- $_ := mergeOverwrite (get $at $name) (deepCopy $value) -}}
{{- else -}}
  {{- $_ := set $at $name $value -}}
{{- end -}}
{{- end -}}

{{/* Dagit is not in Dagster's image, and does not answer at the paths of its probes. */}}
{{- define "dagwire.dagster.ownImages" -}}
{{- range $web := list .Values.dagsterWebserver .Values.dagit -}}
  {{- if regexMatch "(^|/)(dagster|dagit)[^/]*$" (toString (($web).image | default dict).repository) -}}
    {{- $_ := unset $web "image" -}}
    {{- $_ := set $.Values "ignoredKeys" (list "dagit.image: it is one of Dagster's; all services have the image of `image`") -}}
  {{- end -}}
  {{- range $probe := list "startupProbe" "readinessProbe" "livenessProbe" -}}
    {{- $check := toJson (get ($web | default dict) $probe) -}}
    {{- if or (contains "/server_info" $check) (contains "/dagit_info" $check) }}{{ $_ := unset $web $probe }}{{ end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- define "dagwire.dagster.runs" -}}
{{- $default := .Values.runs.default -}}
{{- if kindIs "map" $default.image -}}
  {{- $image := $default.image -}}
  {{- $_ := unset $default "image" -}}
  {{- if $image.repository }}{{ $_ := set $default "image" (include "dagwire.image" (dict "root" . "image" $image)) }}{{ end -}}
  {{- with $image.pullPolicy }}{{ $_ := set $default "imagePullPolicy" . }}{{ end -}}
{{- end -}}
{{/* -1: no limit */}}
{{- if lt (int .Values.runs.maxConcurrent) 0 }}{{ $_ := set .Values.runs "maxConcurrent" 1000000 }}{{ end -}}
{{- end -}}

{{/* Dagster has one user, whose password has one name. A Secret of yours is used if none shall be generated. */}}
{{- define "dagwire.dagster.database" -}}
{{- $auth := .Values.postgresql.auth -}}
{{- $named := .Values.global.postgresqlSecretName -}}
{{- if $named -}}
  {{- if eq (toString .Values.generatePostgresqlPasswordSecret) "false" -}}
    {{- range $who := list "owner" "writer" "reader" }}{{ $_ := set $auth.keys $who "postgresql-password" }}{{ end -}}
  {{- else -}}
    {{- $_ := set $auth "existingSecret" "" -}}
  {{- end -}}
{{- end -}}
{{- if or (and $named $auth.existingSecret) (and .Values.postgresql.postgresqlUsername (not .Values.postgresql.enabled)) -}}
  {{- $_ := set $auth "createRoles" false -}}
  {{- range $who := list "writer" "reader" -}}
    {{- $_ := set $auth.users $who $auth.users.owner -}}
    {{- $_ := set $auth.keys $who $auth.keys.owner -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* One host with its path and TLS becomes lists. */}}
{{- define "dagwire.dagster.ingress" -}}
{{- $web := .Values.ingress.hosts -}}
{{- if kindIs "map" $web -}}
  {{- $path := ternary "/" $web.path (has ($web.path | default "/*") (list "/*")) -}}
  {{- $_ := set .Values.ingress "hosts" (list (dict "host" $web.host "path" $path "pathType" ($web.pathType | default "Prefix"))) -}}
  {{- $tls := $web.tls | default dict -}}
  {{- $_ := set .Values.ingress "tls" (ternary (list (dict "hosts" (list $web.host) "secretName" $tls.secretName)) list (eq (toString $tls.enabled) "true")) -}}
{{- end -}}
{{- end -}}
