/** The directory of the quickstart and its teleport.yaml, on ports that are free. */

import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { defaultPorts } from '../../common/address.ts'
import { ensurePrivateDir, writeFileAtomic } from '../../common/files.ts'
import { SystemError } from '../../errors/errors.ts'

export interface QuickstartFiles {
  readonly config: string
  readonly isNew: boolean
}

/** Makes what is missing; an existing configuration is kept as it is, edits of the user included. */
export async function prepareFiles(directory: string): Promise<QuickstartFiles> {
  await ensurePrivateDir(directory)
  const config = join(directory, 'teleport.yaml')
  if (existsSync(config)) return { config, isNew: false }
  const [node, proxySsh, web, auth] = await Promise.all([
    freePort(defaultPorts.node),
    freePort(defaultPorts.proxySsh),
    freePort(defaultPorts.web),
    freePort(defaultPorts.auth),
  ])
  const text = `# Made by the quickstart. Change it as you like; "teleport configure" prints one with every setting explained.
teleport:
  nodename: node
  data_dir: ${JSON.stringify(join(directory, 'data'))}
  log:
    severity: warn
auth_service:
  enabled: yes
  cluster_name: quickstart
  listen_addr: 127.0.0.1:${auth}
  session_recording: node
  session_detach_timeout: 5m
ssh_service:
  enabled: yes
  listen_addr: 127.0.0.1:${node}
  labels:
    env: quickstart
proxy_service:
  enabled: yes
  listen_addr: 127.0.0.1:${proxySsh}
  web_listen_addr: 127.0.0.1:${web}
  public_addr: localhost:${web}
  ssh_public_addr: localhost:${proxySsh}
`
  await writeFileAtomic(config, text)
  return { config, isNew: true }
}

/** The port itself when nobody has it, else one that the system chooses. */
async function freePort(wanted: number): Promise<number> {
  return (await tryPort(wanted)) ?? (await tryPort(0)) ?? fail()
}

function fail(): never {
  throw new SystemError('EADDRINUSE', 'no free port was found on 127.0.0.1')
}

function tryPort(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(undefined))
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => {
      const address = server.address()
      const bound = typeof address === 'object' && address !== null ? address.port : undefined
      server.close(() => resolve(bound))
    })
  })
}
