/** The proxy's HTTPS API as `tsh` calls it, before there is a certificate. */

import { request } from 'node:https'
import { getCACertificates } from 'node:tls'
import type { z } from 'zod'
import type { Endpoint } from '../../api/endpoint.ts'
import { version } from '../../common/version.ts'
import { ConnectionProblem } from '../../errors/errors.ts'
import { errorFromJson } from '../../errors/json.ts'
import { convertSystemError, errnoOf } from '../../errors/system.ts'
import { joinHostPort } from './address.ts'

export interface WebTarget {
  readonly host: string
  readonly port: number
  /** Skips the verification of the certificate. */
  readonly insecure: boolean
}

/** Bytes of an answer; a login's is a few thousand. */
const maxAnswer = 4 * 1024 * 1024
const timeoutMs = 30_000

const untrusted = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_HAS_EXPIRED',
  'ERR_TLS_CERT_ALTNAME_INVALID',
])

/** Calls one endpoint of `src/api/web.ts`. Throws what the server threw, or ConnectionProblem. */
export async function callWeb<E extends Endpoint>(
  target: WebTarget,
  endpoint: E,
  body?: z.input<E['body']>,
): Promise<z.output<E['output']>> {
  const { status, text } = await send(target, endpoint, body === undefined ? undefined : JSON.stringify(body))
  const answer = parseJson(text)
  if (status !== 200) throw errorFromJson(answer, status)
  const parsed = endpoint.output.safeParse(answer)
  if (!parsed.success) {
    throw new ConnectionProblem(`${joinHostPort(target.host, target.port)} does not answer like a Teleport proxy`)
  }
  return parsed.data as z.output<E['output']>
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

function send(
  target: WebTarget,
  endpoint: Endpoint,
  body: string | undefined,
): Promise<{ status: number; text: string }> {
  const where = joinHostPort(target.host, target.port)
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => reject(explain(error, where))
    const call = request(
      {
        host: target.host,
        port: target.port,
        path: endpoint.path,
        method: endpoint.method,
        rejectUnauthorized: !target.insecure,
        // A company's own authority is installed in the system, not in Node.js.
        ca: [...getCACertificates('default'), ...getCACertificates('system')],
        minVersion: 'TLSv1.2',
        agent: false,
        timeout: timeoutMs,
        headers: {
          'user-agent': `tsh/${version}`,
          ...(body === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
        },
      },
      (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => {
          text += chunk
          if (text.length > maxAnswer) response.destroy(new Error('the answer is too large'))
        })
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
        response.on('error', fail)
      },
    )
    call.on('timeout', () => call.destroy(new Error('no answer in time')))
    call.on('error', fail)
    call.end(body)
  })
}

function explain(error: unknown, where: string): Error {
  const code = errnoOf(error)
  if (code !== undefined && (untrusted.has(code) || code.startsWith('ERR_TLS_CERT'))) {
    return new ConnectionProblem(
      `the HTTPS certificate of ${where} is not trusted (${code}); install its authority, or for a test proxy add --insecure`,
      { cause: error },
    )
  }
  if (code === 'EPROTO') return new ConnectionProblem(`${where} does not speak HTTPS`, { cause: error })
  return convertSystemError(error, `reach the proxy at https://${where}`)
}
