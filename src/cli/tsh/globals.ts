/** Options that every `tsh` command takes. */

import type { OptionSpec } from '../common/spec.ts'

export const globalOptions: readonly OptionSpec[] = [
  { flags: '--proxy <address>', description: 'proxy as HOST[:3080[,3023]] (TELEPORT_PROXY)' },
  { flags: '--user <name>', description: 'Teleport user (TELEPORT_USER); default: your local user name' },
  { flags: '--ttl <duration>', description: 'lifetime of the login: minutes, or 8h' },
  { flags: '-i, --identity <file>', description: 'identity file made by "tctl auth sign" or "tsh login --out"' },
  { flags: '--insecure', description: "do not verify the proxy's HTTPS certificate (tests only)" },
  { flags: '--auth <name>', description: 'authentication connector (TELEPORT_AUTH); only "local" exists' },
  {
    flags: '--mfa-mode <mode>',
    description: 'second factor to use: auto, otp or webauthn',
    choices: ['auto', 'otp', 'webauthn'],
  },
  {
    flags: '--bind-addr <address>',
    description: "where the browser's answer comes to: 127.0.0.1:PORT (TELEPORT_BIND_ADDR)",
  },
  { flags: '--browser <name>', description: 'none: only print the address of a page (TELEPORT_BROWSER)' },
  { flags: '-k, --add-keys-to-agent <when>', description: 'auto, yes or no (TELEPORT_ADD_KEYS_TO_AGENT)' },
  { flags: '--use-local-ssh-agent', description: 'load the certificate into the running ssh-agent' },
  { flags: '--no-use-local-ssh-agent', description: 'leave the ssh-agent alone (TELEPORT_USE_LOCAL_SSH_AGENT=false)' },
  { flags: '-d, --debug', description: 'more words about what happens' },
]
