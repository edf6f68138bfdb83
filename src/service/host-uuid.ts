/** `data_dir/host_uuid`: the machine's name for itself, made once. */

import { join } from 'node:path'
import type { Env } from '../common/env.ts'
import { readFileBounded, writeFileAtomic } from '../common/files.ts'
import { BadParameter, isNotFound } from '../errors/errors.ts'

const form = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Reads it, or makes it. Throws BadParameter for a damaged file: a new one would be another machine to the cluster. */
export async function hostUuid(dataDir: string, env: Env): Promise<string> {
  const path = join(dataDir, 'host_uuid')
  try {
    const text = (await readFileBounded(path, 1024)).toString('utf8').trim()
    if (form.test(text)) return text
    throw new BadParameter(path, `${path} does not hold a UUID; restore it, or remove the data directory to begin anew`)
  } catch (error) {
    if (!isNotFound(error)) throw error
  }
  const uuid = env.randomUuid()
  await writeFileAtomic(path, `${uuid}\n`, { mode: 0o644 })
  return uuid
}
