/**
 * The logger's contract. Implementations write to standard error (text or JSON); rooms below `service` only see this.
 * Secrets (tokens, passwords, private keys) are never passed to it.
 */

export type LogFields = Readonly<Record<string, unknown>>

export interface Logger {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  /** A logger that adds these fields to every line. */
  child(fields: LogFields): Logger
}

/** A logger that writes nothing, for tests and libraries used alone. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
}
