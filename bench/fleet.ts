/**
 * Many machines of a cluster in one process, for the rows of `scale.ts`: each joins, keeps a connection of its own with its own
 * certificate, follows the watch and sends heartbeats, with the code that a node runs. No SSH server: nobody dials them.
 *
 *   node bench/fleet.ts <plan as JSON>     with an IPC channel, over which it says how it goes
 */

import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { apiOver, sshIdent } from '../src/api/auth-channel.ts'
import type { ApiClient } from '../src/api/client.ts'
import { type AuthConnection, connectAuth } from '../src/api/connect.ts'
import { dialTcp } from '../src/api/dial-tcp.ts'
import { runHeartbeat } from '../src/api/heartbeat.ts'
import type { MachineIdentity } from '../src/api/identity.ts'
import { identityFrom } from '../src/api/join.ts'
import { formatKeyLine, parseCertificateLine } from '../src/api/lines.ts'
import { heartbeat, join, watch } from '../src/api/routes.ts'
import { realEnv } from '../src/common/env.ts'
import { silentLogger } from '../src/common/log.ts'
import { version } from '../src/common/version.ts'
import { connectSsh } from '../src/ssh/client.ts'
import { generateEd25519 } from '../src/ssh/keys/private-key.ts'
import type { PublicKey } from '../src/ssh/keys/types.ts'

export interface FleetPlan {
  /** `host:port` of the auth server. */
  readonly address: string
  /** A static one, which many may use. */
  readonly token: string
  readonly count: number
}

/** What the fleet says when asked, and once by itself when every machine is there. */
export interface FleetCounts {
  /** Heartbeats that were answered, and lines of watches that were read, since the beginning. */
  readonly heartbeats: number
  readonly lines: number
  /** What went wrong: a watch that ended, a heartbeat that failed. */
  readonly failures: readonly string[]
}

const attempts = 10

const counts = { heartbeats: 0, lines: 0, failures: [] as string[] }
const report = () => process.send?.(counts satisfies FleetCounts)
const failed = (what: string, error: unknown): void => {
  if (counts.failures.length < 10) counts.failures.push(`${what}: ${String(error)}`)
}

async function main(plan: FleetPlan): Promise<void> {
  const numbers = Array.from({ length: plan.count }, (_, n) => n)
  const identities: MachineIdentity[] = []
  const joining = await Promise.all(Array.from({ length: 4 }, () => connectToJoin(plan)))
  await inParallel(64, numbers, async (n) => {
    const through = joining[n % joining.length]
    if (through !== undefined) identities[n] = await joinThrough(through, hostnameOf(n))
  })
  await Promise.all(joining.map(({ api }) => api.close()))
  // Fewer than the third of the places for those who have not logged in, from which on auth turns some away.
  await inParallel(24, numbers, async (n) => {
    const identity = identities[n]
    if (identity !== undefined) await live(plan, identity, n)
  })
  report()
  process.on('message', report)
}

interface Joining {
  readonly api: AuthConnection
  readonly authority: PublicKey
}

async function connectToJoin({ address, token }: FleetPlan): Promise<Joining> {
  const stream = await dialTcp(address, 3025, realEnv)
  let authority: PublicKey | undefined
  const ssh = await connectSsh({
    stream,
    user: 'join',
    ident: sshIdent,
    identities: [],
    password: token,
    // The auth server is one that the benchmark has just started.
    verifyHost: ({ certificate }) => {
      authority = certificate?.signatureKey
    },
  })
  if (authority === undefined) throw new Error('the auth server shows no certificate')
  return { api: apiOver(ssh, realEnv), authority }
}

async function joinThrough({ api, authority }: Joining, hostname: string): Promise<MachineIdentity> {
  const key = generateEd25519()
  const keys = [{ role: 'node' as const, publicKey: formatKeyLine(key.publicKey) }]
  const answer = await api.call(join, { body: { uuid: randomUUID(), hostname, keys, advertisedNames: [] } })
  const line = answer.certificates[0]?.certificate ?? ''
  return identityFrom(answer, 'Node', key, parseCertificateLine(line), authority)
}

/** Resolves when the machine is connected, knows the cluster and has been heard of. */
async function live({ address }: FleetPlan, identity: MachineIdentity, n: number): Promise<void> {
  const connection = connectAuth({ addresses: [address], identity: () => identity })
  await connectPatiently(connection)
  const heard = Promise.withResolvers<void>()
  const call: ApiClient['call'] = async (endpoint, ...args) => {
    try {
      const answer = await connection.call(endpoint, ...args)
      if (endpoint.path === heartbeat.path) counts.heartbeats++
      heard.resolve()
      return answer
    } catch (error) {
      failed('a heartbeat failed', error)
      throw error
    }
  }
  const presence = presenceOf(n)
  void runHeartbeat({
    client: { call },
    presence: () => presence,
    identity: () => identity,
    env: realEnv,
    logger: silentLogger,
    signal: new AbortController().signal,
  })
  await heard.promise
}

/** Resolves when the watch stands. On a busy machine the first attempts may come to nothing, as with any node. */
async function connectPatiently(connection: AuthConnection): Promise<void> {
  for (let left = attempts; ; left--) {
    const ready = Promise.withResolvers<void>()
    let stands = false
    const seen = () => {
      stands = true
      ready.resolve()
    }
    follow(connection, seen).catch((error: unknown) => {
      if (stands) failed('a watch ended', error)
      else ready.reject(error)
    })
    try {
      return await ready.promise
    } catch (error) {
      if (left <= 1) throw error
      await delay(2_000)
    }
  }
}

async function follow(connection: AuthConnection, ready: () => void): Promise<void> {
  for await (const event of connection.stream(watch)) {
    counts.lines++
    if (event.op === 'ready') ready()
  }
  throw new Error('the auth server ended it')
}

const hostnameOf = (n: number): string => `host-${String(n).padStart(5, '0')}`

const presenceOf = (n: number) => ({
  hostname: hostnameOf(n),
  address: `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}:3022`,
  publicAddresses: [],
  labels: {
    env: n % 3 === 0 ? 'prod' : 'staging',
    region: `eu-west-${n % 4}`,
    role: ['db', 'web', 'queue'][n % 3] ?? '',
    rack: `r${n % 40}`,
  },
  version,
})

async function inParallel<T>(width: number, all: readonly T[], one: (item: T) => Promise<void>): Promise<void> {
  const rest = all.values()
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const item of rest) await one(item)
    }),
  )
}

// The benchmark has gone, or wants no more.
process.once('disconnect', () => process.exit())
await main(JSON.parse(process.argv[2] ?? '') as FleetPlan)
