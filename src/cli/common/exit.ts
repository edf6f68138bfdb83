/** The edge where an error becomes one line on standard error and an exit code. */

import { KindError } from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'
import { printableLines } from './printable.ts'

export const exitCode = { ok: 0, failure: 1, usage: 2, connection: 255 } as const

/** Bad flags, arguments, names and files are the caller's to mend (2); the rest is failure (1). */
export function exitCodeOf(error: unknown): number {
  if (!(error instanceof KindError)) return exitCode.failure
  return error.kind === 'BadParameter' || error.kind === 'MissingParameter' ? exitCode.usage : exitCode.failure
}

/** The line that a person sees. Never a stack trace, except for ourselves with TELEPORT_DEBUG=1. */
export function errorLine(error: unknown): string {
  const known = error instanceof KindError
  return known ? printableLines(error.message) : `internal error: ${printableLines(messageOf(error))}`
}

/** Prints the error and returns its exit code. */
export function reportError(program: string, error: unknown): number {
  process.stderr.write(`${program}: ${errorLine(error)}\n`)
  if (process.env.TELEPORT_DEBUG === '1' && error instanceof Error) {
    process.stderr.write(`${error.stack ?? ''}\n`)
    if (error.cause !== undefined) process.stderr.write(`cause: ${String(error.cause)}\n`)
  }
  return exitCodeOf(error)
}

/**
 * Ends the process after what was written has gone out. `process.exit` alone cuts output to a pipe, and waiting for the
 * event loop to empty would leave the exit to every open timer.
 */
export async function leave(code: number): Promise<never> {
  for (const stream of [process.stdout, process.stderr]) {
    if (stream.writableLength > 0 && !stream.destroyed) {
      await new Promise<void>((resolve) => {
        stream.once('error', () => resolve())
        stream.write('', () => resolve())
      })
    }
  }
  process.exit(code)
}

/** A reader that went away (`tsh ls | head`) is not an error worth a word. */
export function tolerateClosedOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? exitCode.ok : exitCode.failure)
  })
}
