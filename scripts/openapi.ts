/**
 * Writes the reference of both APIs from the endpoint objects: OpenAPI 3.1 documents and a readable page.
 * `node scripts/openapi.ts` writes below `docs/reference/`; with `--print auth` or `--print web` the document goes to standard output.
 */

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Endpoint } from '../src/api/endpoint.ts'
import { type Api, openApiDocument as document, sortedEndpoints as sorted } from '../src/api/openapi.ts'
import * as authRoutes from '../src/api/routes.ts'
import * as webRoutes from '../src/api/web.ts'
import { httpStatus } from '../src/errors/errors.ts'

const apis: Readonly<Record<string, Api>> = {
  auth: {
    title: 'Auth API',
    description:
      'HTTP/1.1 with JSON inside SSH channels to `auth.teleport.api`, port 0, of a connection to an auth server (port 3025). The caller is whoever the SSH certificate says.',
    endpoints: sorted(authRoutes),
  },
  web: {
    title: 'Web API',
    description: 'HTTPS on the proxy’s web port (3080), for clients that have no certificate yet.',
    endpoints: sorted(webRoutes),
  },
}

function page(): string {
  const lines = [
    '# API reference',
    '',
    'Generated from the endpoint objects by `node scripts/openapi.ts`; the OpenAPI documents beside this page have every schema. Errors have the form',
    '`{"error": {"kind", "message", "param"?, "errno"?}}`, with these kinds and HTTP statuses:',
    '',
    '| kind | status |',
    '|---|---|',
    ...Object.entries(httpStatus).map(([kind, status]) => `| ${kind} | ${status} |`),
    '',
  ]
  for (const [name, api] of Object.entries(apis)) {
    lines.push(`## ${api.title}`, '', api.description, `Document: [${name}.openapi.json](${name}.openapi.json).`, '')
    lines.push('| request | what it does | who may call | of users |', '|---|---|---|---|')
    for (const [, endpoint] of api.endpoints) {
      const callers = endpoint.callers.length === 0 ? 'anybody' : endpoint.callers.join(', ')
      lines.push(
        `| \`${endpoint.method} ${endpoint.path}\` | ${endpoint.summary} | ${callers} | ${usersOf(endpoint)} |`,
      )
    }
    lines.push('')
  }
  return lines.join('\n')
}

function usersOf({ callers, userRule }: Endpoint): string {
  if (!callers.includes('User') || userRule === undefined) return ''
  if (userRule === 'none') return 'all'
  return userRule === 'self' ? 'what is their own' : `rule \`${userRule.resource}: ${userRule.verb}\``
}

/** What stands in `docs/reference/`, by file name. */
export function reference(): Readonly<Record<string, string>> {
  const documents = Object.entries(apis).map(([name, api]) => [
    `${name}.openapi.json`,
    `${JSON.stringify(document(api), undefined, 2)}\n`,
  ])
  return { 'api.md': page(), ...Object.fromEntries(documents) }
}

if (import.meta.main) {
  const [flag, name = ''] = process.argv.slice(2)
  const api = apis[name]
  if (flag === '--print' && api !== undefined) {
    process.stdout.write(`${JSON.stringify(document(api), undefined, 2)}\n`)
  } else if (flag === undefined) {
    const directory = join(import.meta.dirname, '../docs/reference')
    await mkdir(directory, { recursive: true })
    for (const [file, text] of Object.entries(reference())) await writeFile(join(directory, file), text)
  } else {
    process.stderr.write('usage: node scripts/openapi.ts [--print auth|web]\n')
    process.exitCode = 2
  }
}
