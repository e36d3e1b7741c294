{{- define "dagwire.scheduler.pod" -}}
container:
  command: [python, -m, dagwire_scheduler]
  {{- include "dagwire.healthProbes" . | nindent 2 }}
env:
  {{- include "dagwire.serviceEnv" (dict "root" . "component" "scheduler") | nindent 2 }}
  - {name: DAGWIRE_SCHEDULER_HEALTH_PORT, value: "8081"}
  - {name: DAGWIRE_SCHEDULER_WORKSPACE, value: /etc/dagwire/workspace/workspace.yaml}
volumes:
  - {name: workspace, configMap: {name: {{ include "dagwire.workspace.name" . | quote }}}}
volumeMounts:
  - {name: workspace, mountPath: /etc/dagwire/workspace, readOnly: true}
annotations:
  dagwire/workspace: {{ include "dagwire.workspace.file" . | sha256sum | trunc 32 }}
{{- end -}}
