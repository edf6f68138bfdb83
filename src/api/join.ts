/** Joining a cluster with a token (docs/protocol.md): first the machine checks whom it talks to, only then does it show the token. */

import type { Socket } from 'node:net'
import { type Env, realEnv } from '../common/env.ts'
import { type Logger, silentLogger } from '../common/log.ts'
import {
  AccessDenied,
  BadParameter,
  ConnectionProblem,
  isAccessDenied,
  isAlreadyExists,
  isConnectionProblem,
} from '../errors/errors.ts'
import type { Certificate } from '../ssh/certificate/types.ts'
import { connectSsh } from '../ssh/client.ts'
import { generateEd25519 } from '../ssh/keys/private-key.ts'
import { caPin, equalKeys } from '../ssh/keys/public-key.ts'
import type { PrivateKey, PublicKey } from '../ssh/keys/types.ts'
import type { PresentedHostKey } from '../ssh/transport/types.ts'
import { apiOver, authPort, handshakeTimeout, summarize } from './auth-channel.ts'
import { dialTcp } from './dial-tcp.ts'
import { authorityExtension, verifyMachine } from './host-certificate.ts'
import type { MachineIdentity, MachineRole } from './identity.ts'
import { identOfPins } from './known-authorities.ts'
import { formatKeyLine, parseCertificateLine, parseKeyLine } from './lines.ts'
import { machineRoleOf } from './machine-roles.ts'
import type { HostCredentials, ServerRole } from './model.ts'
import { join } from './routes.ts'

export interface JoinOptions {
  readonly addresses: readonly string[]
  readonly token: string
  /** `sha256:<hex>`, or several of which any will do; may be left out only towards an auth server on a loopback address. */
  readonly caPin?: string | readonly string[]
  /** Wanted; a machine whose uuid the cluster knows already gets another one. */
  readonly uuid: string
  readonly hostname: string
  readonly roles: readonly ServerRole[]
  /** Names and addresses under which this machine is reached, for the certificate's principals. */
  readonly advertisedNames: readonly string[]
  readonly env?: Env
  readonly logger?: Logger
  readonly signal?: AbortSignal
}

/**
 * Joins a cluster: one identity for each role, in the order asked for. The pin is compared before the token is sent.
 * Throws AccessDenied for a bad pin or token, BadParameter for a malformed or missing pin, ConnectionProblem when no auth server
 * answers.
 */
export async function joinCluster(options: JoinOptions): Promise<readonly MachineIdentity[]> {
  const { env = realEnv, logger = silentLogger } = options
  for (const pin of pinsOf(options)) {
    if (/^sha256:[0-9a-f]{64}$/.test(pin)) continue
    throw new BadParameter('ca-pin', `the CA pin ${JSON.stringify(pin)} must be sha256: and 64 hexadecimal digits`)
  }
  try {
    return await joinAny(options, env, logger)
  } catch (error) {
    if (!isAlreadyExists(error)) throw error
    const uuid = env.randomUuid()
    logger.warn('the cluster knows a machine with this uuid already; joining with a new one', { uuid })
    return joinAny({ ...options, uuid }, env, logger)
  }
}

const pinsOf = ({ caPin: pins = [] }: JoinOptions): readonly string[] => (typeof pins === 'string' ? [pins] : pins)

async function joinAny(options: JoinOptions, env: Env, logger: Logger): Promise<readonly MachineIdentity[]> {
  const errors: Error[] = []
  for (const address of options.addresses) {
    try {
      return await joinAt(address, options, env, logger)
    } catch (error) {
      options.signal?.throwIfAborted()
      if (isAlreadyExists(error)) throw error
      errors.push(error instanceof Error ? error : new Error(String(error)))
    }
  }
  throw summarize(errors)
}

async function joinAt(
  address: string,
  options: JoinOptions,
  env: Env,
  logger: Logger,
): Promise<readonly MachineIdentity[]> {
  const { signal, uuid } = options
  const stream = await dialTcp(address, authPort, env, signal)
  let trusted: Trusted | undefined
  const ssh = await connectSsh(
    {
      stream,
      user: 'join',
      ident: identOfPins(pinsOf(options)),
      identities: [],
      password: options.token,
      verifyHost: (presented) => {
        trusted = checkPin(address, stream, presented, pinsOf(options), env, logger)
      },
      limits: { loginGraceMs: handshakeTimeout },
      logger,
      ...(signal === undefined ? {} : { signal }),
    },
    env,
  ).catch((error: unknown) => {
    if (isConnectionProblem(error)) {
      throw new ConnectionProblem(`cannot connect to ${address}: ${error.message}`, { cause: error })
    }
    if (trusted === undefined || !isAccessDenied(error)) throw error
    const remedy = 'make a new one on the auth machine with: tctl nodes add'
    throw new AccessDenied(
      `the auth server at ${address} refused the join token: it is wrong, used up or expired; ${remedy}`,
      {
        cause: error,
      },
    )
  })
  const api = apiOver(ssh, env)
  try {
    const proven = trusted
    if (proven === undefined) throw new AccessDenied('the auth server was not verified')
    const keys = options.roles.map((role) => ({ role, key: generateEd25519(env) }))
    const credentials = await api.call(
      join,
      {
        body: {
          uuid,
          hostname: options.hostname,
          keys: keys.map(({ role, key }) => ({ role, publicKey: formatKeyLine(key.publicKey) })),
          advertisedNames: [...options.advertisedNames],
        },
      },
      signal,
    )
    return keys.map(({ role, key }) => readCredentials(credentials, role, key, proven))
  } finally {
    await api.close()
  }
}

interface Trusted {
  readonly authority: PublicKey
  readonly clusterName: string
}

/** Whom we talk to, proven by the pin (or, without one, by being this same machine). Throws before anything was sent. */
function checkPin(
  address: string,
  stream: Socket,
  presented: PresentedHostKey,
  pins: readonly string[],
  env: Env,
  logger: Logger,
): Trusted {
  const { certificate } = presented
  if (certificate === undefined) {
    throw new AccessDenied(
      `the server at ${address} shows no host certificate, so it is not an auth server; the token was not sent`,
    )
  }
  const authority = certificate.signatureKey
  const clusterName = certificate.extensions.get(authorityExtension)?.toString('utf8') ?? ''
  const verdict = verifyMachine(certificate, {
    hostAuthorities: [authority],
    clusterName,
    roles: ['Auth'],
    now: env.now(),
  })
  if (!verdict.ok)
    throw new AccessDenied(`the server at ${address} is not an auth server: ${verdict.reason}; the token was not sent`)
  if (pins.length > 0) {
    if (pins.includes(caPin(authority))) return { authority, clusterName }
    throw new AccessDenied(
      `the server at ${address} has the CA pin ${caPin(authority)}, not ${pins.join(' or ')}: it belongs to another cluster, or somebody poses as it; the token was not sent`,
    )
  }
  if (!isLoopback(stream.remoteAddress ?? '')) {
    throw new BadParameter(
      'ca-pin',
      `joining through ${address} needs --ca-pin (tctl status prints it), since nothing else proves whom the token goes to`,
    )
  }
  logger.warn('joining without a CA pin, as the auth server is on this machine', { address })
  return { authority, clusterName }
}

const isLoopback = (address: string): boolean => /^(127\.|::1$|::ffff:127\.)/.test(address)

function readCredentials(
  credentials: HostCredentials,
  role: ServerRole,
  key: PrivateKey,
  trusted: Trusted,
): MachineIdentity {
  const line = credentials.certificates.find((one) => one.role === role)?.certificate
  if (line === undefined) throw new ConnectionProblem(`the auth server gave no certificate for the role ${role}`)
  return identityFrom(credentials, machineRoleOf[role], key, parseCertificateLine(line), trusted.authority)
}

/** An identity from what auth answered, after checking that it fits the key and the authority that was trusted before. */
export function identityFrom(
  credentials: Omit<HostCredentials, 'certificates'>,
  role: MachineRole,
  key: PrivateKey,
  certificate: Certificate,
  authority: PublicKey,
): MachineIdentity {
  const keysOf = (authorities: HostCredentials['hostAuthorities']) =>
    authorities.flatMap(({ keys }) => keys.map((line) => parseKeyLine(line, 'authority')))
  const hostAuthorities = keysOf(credentials.hostAuthorities)
  if (!equalKeys(certificate.publicKey, key.publicKey)) {
    throw new ConnectionProblem('the auth server certified another key than ours')
  }
  if (!hostAuthorities.some((known) => equalKeys(known, authority))) {
    throw new AccessDenied('the authorities that the auth server gave do not include the one that was verified')
  }
  const { uuid, clusterName } = credentials
  return {
    role,
    uuid,
    clusterName,
    key,
    certificate,
    hostAuthorities,
    userAuthorities: keysOf(credentials.userAuthorities),
  }
}
