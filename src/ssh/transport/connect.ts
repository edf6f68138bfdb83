/** Makes a transport of a byte stream: the two ways in. */

import { realEnv } from '../../common/env.ts'
import { silentLogger } from '../../common/log.ts'
import { BadParameter, ConnectionProblem } from '../../errors/errors.ts'
import { resolveAlgorithms } from './algorithms.ts'
import { resolveLimits } from './limits.ts'
import type { AcceptOptions, AcceptTransport, ConnectOptions, ConnectTransport } from './options.ts'
import type { TransportSettings } from './settings.ts'
import { SshTransport } from './transport.ts'
import type { Transport } from './types.ts'

/** Speaks the client's part. See `ConnectTransport` for what it throws. */
export const connectTransport: ConnectTransport = async (options) => {
  if (options.preamble !== undefined && !/^[^\r\n]+\r\n$/.test(options.preamble)) {
    throw new BadParameter('preamble', 'the preamble must be one line that ends with CR LF')
  }
  return await establish(options, {
    ...common(options),
    role: 'client',
    kex: {
      algorithms: resolveAlgorithms(options.algorithms),
      steer: false,
      hostIdentities: [],
      hostKeyAlgorithms: options.hostKeyAlgorithms,
      guess: options.guess ?? true,
    },
    verifyHost: (presented) => options.verifyHost(presented),
    sendPreamble: options.preamble,
  })
}

/** Speaks the server's part. See `AcceptTransport` for what it throws. */
export const acceptTransport: AcceptTransport = async (options) => {
  if (typeof options.hostIdentities !== 'function' && options.hostIdentities.length === 0) {
    throw new BadParameter('hostIdentities', 'an SSH server needs at least one host key')
  }
  return await establish(options, {
    ...common(options),
    role: 'server',
    kex: {
      algorithms: resolveAlgorithms(options.algorithms),
      steer: options.algorithms?.ciphers === undefined,
      hostIdentities: options.hostIdentities,
      guess: false,
    },
    verifyHost: () => undefined,
    preamble: options.preamble,
  })
}

function common(
  options: ConnectOptions | AcceptOptions,
): Pick<TransportSettings, 'stream' | 'ident' | 'limits' | 'env' | 'logger'> {
  return {
    stream: options.stream,
    ident: options.ident,
    limits: resolveLimits(options.limits),
    env: options.env ?? realEnv,
    logger: options.logger ?? silentLogger,
  }
}

async function establish(options: ConnectOptions | AcceptOptions, settings: TransportSettings): Promise<Transport> {
  const { signal } = options
  const transport = new SshTransport(settings)
  if (signal !== undefined) {
    const abort = (): void =>
      transport.fail(new ConnectionProblem('the connection was cancelled', { cause: signal.reason }))
    if (signal.aborted) abort()
    else {
      signal.addEventListener('abort', abort)
      void transport.closed.then(() => signal.removeEventListener('abort', abort))
    }
  }
  await transport.ready
  return transport
}
