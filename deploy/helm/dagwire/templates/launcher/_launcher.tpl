{{- define "dagwire.launcher.pod" -}}
{{- $nats := .Values.nats -}}{{- $secret := include "dagwire.nats.secret" . -}}
container:
  command: [python, -m, dagwire_launcher]
  {{- include "dagwire.healthProbes" . | nindent 2 }}
env:
  {{- include "dagwire.serviceEnv" (dict "root" . "component" "launcher") | nindent 2 }}
  - {name: DAGWIRE_LAUNCHER_HEALTH_PORT, value: "8081"}
  - {name: DAGWIRE_LAUNCHER_WORKER_NATS_URL, value: {{ include "dagwire.nats.workerUrl" . | quote }}}
  {{- if or $nats.enabled $nats.auth.callout }}
  {{- include "dagwire.fromSecret" (dict "name" "DAGWIRE_LAUNCHER_CREDENTIAL_SECRET" "secret" $secret "key" $nats.auth.keys.credential) | nindent 2 }}
  {{- if $nats.auth.keys.previousCredential }}
  {{- include "dagwire.fromSecret" (dict "name" "DAGWIRE_LAUNCHER_PREVIOUS_CREDENTIAL_SECRET" "secret" $secret "key" $nats.auth.keys.previousCredential) | nindent 2 }}
  {{- end }}
  {{- else }}
  - {name: DAGWIRE_LAUNCHER_WORKER_NATS_USER, value: {{ $nats.auth.users.worker | quote }}}
  {{- include "dagwire.fromSecret" (dict "name" "DAGWIRE_LAUNCHER_WORKER_NATS_PASSWORD" "secret" $secret "key" $nats.auth.keys.worker) | nindent 2 }}
  {{- end }}
  - {name: DAGWIRE_LAUNCHER_BACKEND, value: kubernetes}
  - {name: DAGWIRE_LAUNCHER_NAMESPACE, value: {{ include "dagwire.runs.namespace" . | quote }}}
  - {name: DAGWIRE_LAUNCHER_INSTANCE, value: {{ .Release.Name | quote }}}
  - {name: DAGWIRE_LAUNCHER_DIRECTORY, value: /tmp/dagwire}
  - {name: DAGWIRE_LAUNCHER_RUN_CONFIG, value: /etc/dagwire/runs/runs.yaml}
  - {name: DAGWIRE_LAUNCHER_MAX_CONCURRENT_RUNS, value: {{ .Values.runs.maxConcurrent | int64 | quote }}}
  {{- with .Values.runs.launchesAtOnce }}
  - {name: DAGWIRE_LAUNCHER_LAUNCHES_AT_ONCE, value: {{ . | quote }}}
  {{- end }}
  - {name: DAGWIRE_LAUNCHER_KEEP_RUNS, value: {{ .Values.runs.keep.count | int64 | quote }}}
  - {name: DAGWIRE_LAUNCHER_KEEP_DAYS, value: {{ .Values.runs.keep.days | quote }}}
  - {name: DAGWIRE_LAUNCHER_START_TIMEOUT_SECONDS, value: {{ .Values.runs.startTimeoutSeconds | int64 | quote }}}
volumes:
  - {name: runs, configMap: {name: {{ printf "%s-runs" (include "dagwire.fullname" .) | quote }}}}
volumeMounts:
  - {name: runs, mountPath: /etc/dagwire/runs, readOnly: true}
annotations:
  dagwire/runs: {{ include "dagwire.runs.file" . | sha256sum | trunc 32 }}
spec: {automountServiceAccountToken: true}
{{- end -}}

{{/* All that the launcher may do, in the namespace of the runs. */}}
{{- define "dagwire.launcher.rules" -}}
rules:
  - {apiGroups: [batch], resources: [jobs], verbs: [create, get, list, watch, delete]}
  - {apiGroups: [""], resources: [pods], verbs: [get, list, watch, delete]}
  - {apiGroups: [""], resources: [pods/log], verbs: [get]}
  - {apiGroups: [""], resources: [events], verbs: [list, watch]}
{{- end -}}
