/** `--diag-addr`: health for load balancers and numbers for Prometheus. Loaded only when it is asked for. */

import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Gauge, Registry } from 'prom-client'
import { convertSystemError } from '../errors/system.ts'
import type { RoleProcess } from './role-process.ts'

export interface Diagnostics {
  readonly address: AddressInfo
  close(): Promise<void>
}

/** Serves `/healthz` (the supervisor runs), `/readyz` (every role listens) and `/metrics`. */
export async function serveDiagnostics(
  listen: { readonly host: string; readonly port: number },
  roles: readonly RoleProcess[],
): Promise<Diagnostics> {
  const server = createServer(
    { requestTimeout: 10_000, headersTimeout: 5_000, maxHeaderSize: 8192 },
    (request, response) => {
      const answer = (status: number, body: string, type = 'application/json') => {
        response.writeHead(status, { 'content-type': type, 'x-content-type-options': 'nosniff' }).end(body)
      }
      const path = request.url?.split('?')[0]
      if (request.method !== 'GET' && request.method !== 'HEAD') answer(405, '{"error":"only GET is served"}')
      else if (path === '/healthz') answer(200, '{"status":"ok"}')
      else if (path === '/readyz') {
        const waiting = roles.filter((role) => !role.isReady).map((role) => role.role)
        if (waiting.length === 0) answer(200, '{"status":"ok"}')
        else answer(503, JSON.stringify({ status: 'not ready', waiting }))
      } else if (path === '/metrics') {
        collect(roles).then(
          ({ text, type }) => answer(200, text, type),
          () => answer(500, '{"error":"metrics could not be collected"}'),
        )
      } else answer(404, '{"error":"not found"}')
    },
  )
  await start(server, listen)
  return {
    address: server.address() as AddressInfo,
    async close() {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

function start(server: Server, listen: { readonly host: string; readonly port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(convertSystemError(error, `listen on ${listen.host}:${listen.port} (diag_addr)`)),
    )
    server.listen(listen.port, listen.host, () => resolve())
  })
}

async function collect(roles: readonly RoleProcess[]): Promise<{ readonly text: string; readonly type: string }> {
  const registry = new Registry()
  const gauge = (name: string, help: string) => new Gauge({ name, help, labelNames: ['role'], registers: [registry] })
  const up = gauge('teleport_role_up', 'Whether the role listens (1) or not (0)')
  const restarts = gauge('teleport_role_restarts', 'Restarts after a crash since the supervisor started')
  const rss = gauge('teleport_role_resident_memory_bytes', 'Resident memory of the role process')
  const heap = gauge('teleport_role_heap_bytes', 'JavaScript heap in use')
  const cpu = gauge('teleport_role_cpu_seconds', 'CPU time of the role process since its start')
  const delay = gauge('teleport_role_event_loop_delay_ms', 'Mean event loop delay, milliseconds')
  await Promise.all(
    roles.map(async (process) => {
      const { role } = process
      up.set({ role }, process.isReady ? 1 : 0)
      restarts.set({ role }, process.restarts)
      const stats = await process.stats()
      if (stats === undefined) return
      rss.set({ role }, stats.rssBytes)
      heap.set({ role }, stats.heapBytes)
      cpu.set({ role }, stats.cpuSeconds)
      delay.set({ role }, stats.eventLoopDelayMs)
    }),
  )
  return { text: await registry.metrics(), type: registry.contentType }
}
