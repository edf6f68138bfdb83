/** Where V8's code cache lives. Code is loaded from it, so it is never a place that other users can write to. */

import { lstatSync, mkdirSync } from 'node:fs'

/** `$XDG_CACHE_HOME/teleport-ts` or `~/.cache/teleport-ts`, private and ours; undefined when there is no such place. */
export function compileCacheDirectory(env: NodeJS.ProcessEnv): string | undefined {
  const home = env.HOME
  const base = env.XDG_CACHE_HOME || (home ? `${home}/.cache` : undefined)
  if (base?.startsWith('/') !== true) return undefined
  const directory = `${base}/teleport-ts`
  try {
    const stat = lstatSync(directory, { throwIfNoEntry: false }) ?? create(directory)
    const ours = stat.isDirectory() && stat.uid === process.geteuid?.() && (stat.mode & 0o077) === 0
    return ours ? directory : undefined
  } catch {
    return undefined
  }
}

function create(directory: string) {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  return lstatSync(directory)
}
