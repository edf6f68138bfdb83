/**
 * The logger of the services, on pino: JSON lines, or text for people. Written synchronously from this process, so that
 * nothing is lost when it dies and no worker thread delays the start. Known secret fields never appear.
 */

import { pino } from 'pino'
import { KindError } from '../errors/errors.ts'
import { convertSystemError, messageOf } from '../errors/system.ts'
import type { LogFields, Logger } from './log.ts'
import { stripControl, truncate } from './text.ts'

export type Severity = 'debug' | 'info' | 'warn' | 'error'

export interface LoggerOptions {
  /** `stderr`, `stdout` or the path of a file, which is created 0600 and appended to. Default `stderr`. */
  readonly output?: string
  /** The least severe level that is written. Default `info`. */
  readonly severity?: Severity
  /** Default `text`. */
  readonly format?: 'text' | 'json'
  /** Instead of `output`, for tests: gets each line with its line feed. */
  readonly write?: (line: string) => void
}

/** Whatever the caller says: fields with these names are not written. */
const SECRET_FIELDS =
  /^(?:.*[_-])?(?:password|passwd|passphrase|token|secret|otp|otp_?code|cookie|authorization|private_?key|bearer|credential)s?$/i
const MAX_VALUE = 2000

/** Throws the kinds of `convertSystemError` when the log file cannot be opened. */
export function createLogger(options: LoggerOptions = {}): Logger {
  const { severity = 'info', format = 'text' } = options
  const write = options.write ?? openOutput(options.output ?? 'stderr')
  const stream = { write: (line: string) => write(format === 'json' ? line : textLine(line)) }
  const base = pino(
    {
      level: severity,
      base: {},
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  )
  return wrap(base)
}

function openOutput(output: string): (line: string) => void {
  const dest = output === 'stderr' ? 2 : output === 'stdout' ? 1 : output
  try {
    const file = pino.destination({ dest, sync: true, append: true, mode: 0o600 })
    // A full disk or a closed pipe must not end the service.
    file.on('error', () => undefined)
    return (line) => void file.write(line)
  } catch (error) {
    throw convertSystemError(error, `open the log ${output}`)
  }
}

function wrap(target: pino.Logger): Logger {
  return {
    debug: (message, fields) => target.debug(clean(fields), stripControl(message)),
    info: (message, fields) => target.info(clean(fields), stripControl(message)),
    warn: (message, fields) => target.warn(clean(fields), stripControl(message)),
    error: (message, fields) => target.error(clean(fields), stripControl(message)),
    child: (fields) => wrap(target.child(clean(fields))),
  }
}

function clean(fields: LogFields = {}): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue
    // pino's own words must not be overwritten by a field.
    const key = ['level', 'time', 'message', 'stack'].includes(name) ? `${name}_` : stripControl(name)
    result[key] = SECRET_FIELDS.test(name) ? '[not logged]' : cleanValue(value, 0)
    if (value instanceof Error && !(value instanceof KindError) && value.stack !== undefined) result.stack = value.stack
  }
  return result
}

function cleanValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return truncate(stripControl(value), MAX_VALUE)
  if (value instanceof Error) return truncate(stripControl(messageOf(value)), MAX_VALUE)
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'invalid date' : value.toISOString()
  if (value instanceof Uint8Array) return `${value.length} bytes`
  if (typeof value === 'bigint' || typeof value === 'symbol' || typeof value === 'function') return String(value)
  if (typeof value !== 'object' || value === null) return value
  if (depth >= 3) return '...'
  if (Array.isArray(value)) return value.slice(0, 50).map((entry) => cleanValue(entry, depth + 1))
  const entries = Object.entries(value).slice(0, 50)
  return Object.fromEntries(
    entries.map(([name, entry]) => [
      stripControl(name),
      SECRET_FIELDS.test(name) ? '[not logged]' : cleanValue(entry, depth + 1),
    ]),
  )
}

/** `2026-11-20T16:12:00.123Z INFO  message key=value` from pino's JSON. */
function textLine(json: string): string {
  const { level, time, message, stack, ...fields }: Record<string, unknown> = JSON.parse(json)
  const pairs = Object.entries(fields).map(([name, value]) => ` ${name}=${textValue(value)}`)
  // A stack has line feeds of its own; indented they cannot pass for log lines.
  const trace =
    typeof stack === 'string'
      ? `\n${stack
          .split('\n')
          .slice(1)
          .map((line) => `    ${stripControl(line.trim())}`)
          .join('\n')}`
      : ''
  return `${time} ${String(level).toUpperCase().padEnd(5)} ${message}${pairs.join('')}${trace}\n`
}

function textValue(value: unknown): string {
  if (typeof value === 'string') return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)
  return JSON.stringify(value) ?? ''
}
