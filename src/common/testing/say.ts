/** For a program in a test that is killed while it writes: what it has said is on its way when it is killed. */

/** Source that declares `say(line)`. A pipe whose reader is slow is full at times, and node's are not waited for. */
export const sayProgram = `
  import { writeSync } from 'node:fs'
  const say = async (line) => {
    for (;;) {
      try {
        return writeSync(1, line + '\\n')
      } catch (error) {
        if (error.code !== 'EAGAIN') throw error
        await new Promise(setImmediate)
      }
    }
  }`
