/** Looks at the addresses before anything is started, so that "port in use" is one clear line and nothing is half running. */

import { createServer } from 'node:net'
import { SystemError } from '../errors/errors.ts'
import { convertSystemError, errnoOf } from '../errors/system.ts'

export interface WantedAddress {
  /** `auth_service.listen_addr`, for the message. */
  readonly key: string
  readonly host: string
  readonly port: number
}

/** Throws a System error (EADDRINUSE) or AccessDenied for the first address that cannot be had. */
export async function checkAddresses(addresses: readonly WantedAddress[]): Promise<void> {
  await Promise.all(addresses.filter((address) => address.port !== 0).map(checkAddress))
}

function checkAddress({ key, host, port }: WantedAddress): Promise<void> {
  const where = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error) => {
      if (errnoOf(error) === 'EADDRINUSE') {
        const remedy = `stop what listens there (ss -ltnp 'sport = :${port}') or set another ${key}`
        reject(new SystemError('EADDRINUSE', `cannot listen on ${where}: the port is in use; ${remedy}`))
      } else if (errnoOf(error) === 'EADDRNOTAVAIL') {
        reject(
          new SystemError(
            'EADDRNOTAVAIL',
            `cannot listen on ${where}: this machine has no such address; change ${key}`,
          ),
        )
      } else reject(convertSystemError(error, `listen on ${where} (${key})`))
    })
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve()))
  })
}
