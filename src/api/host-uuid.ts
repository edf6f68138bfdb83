/** The uuid of a machine, shared by all its roles: `host_uuid` in the data directory, made once. */

import { join } from 'node:path'
import type { Env } from '../common/env.ts'
import { readFileBounded, writeFileAtomic } from '../common/files.ts'
import { isUuid } from '../common/names.ts'
import { BadParameter, isAlreadyExists, isNotFound } from '../errors/errors.ts'

/** Reads or makes it. Two processes that start together agree. Throws BadParameter when the file holds something else. */
export async function hostUuid(dataDir: string, env: Env): Promise<string> {
  const path = join(dataDir, 'host_uuid')
  try {
    const text = (await readFileBounded(path, 256)).toString('utf8').trim()
    if (isUuid(text)) return text
    throw new BadParameter(path, `${path} does not hold a uuid; put back what was there, or remove the file`)
  } catch (error) {
    if (!isNotFound(error)) throw error
  }
  const uuid = env.randomUuid()
  try {
    await writeFileAtomic(path, `${uuid}\n`, { mode: 0o644, overwrite: false })
    return uuid
  } catch (error) {
    if (isAlreadyExists(error)) return hostUuid(dataDir, env)
    throw error
  }
}
