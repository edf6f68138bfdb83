/** The calls of the web API, drawn from the document that the proxy makes of its own endpoints. */

import { Text, TextInput, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { getApiDocument, type WebState } from '../api.ts'
import { SearchIcon } from '../icons.tsx'
import { Empty, Loading, Problem, usePageTitle } from '../parts.tsx'
import { useLostSession } from '../session.tsx'
import { apiDocsText } from '../text/api-docs.ts'
import { type Schema, schemaText } from './schema-text.ts'
import './api-docs.css'

const words = apiDocsText

interface Operation {
  readonly method: string
  readonly path: string
  readonly summary: string
  readonly rule: unknown
  readonly parameters: readonly { name: string; in: string; required: boolean; schema: Schema }[]
  readonly body: Schema | undefined
  readonly answer: Schema | undefined
  readonly isStream: boolean
}

export function ApiDocsPage({ state }: { state: WebState }) {
  const [search, setSearch] = useState('')
  usePageTitle(words.title, state.clusterName)
  const document = useQuery({
    queryKey: ['openapi', state.user?.name],
    queryFn: getApiDocument,
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  })
  useLostSession(document.error)
  const all = document.data === undefined ? [] : operationsOf(document.data)
  const wanted = search.toLowerCase().split(/\s+/)
  const shown = all.filter(({ method, path, summary }) => {
    const text = `${method} ${path} ${summary}`.toLowerCase()
    return wanted.every((word) => text.includes(word))
  })
  return (
    <div className="page api-docs">
      <div className="page-head">
        <Title order={1} size="h2">
          {words.title}
        </Title>
        <a href="/webapi/openapi" download="web.openapi.json">
          {words.file}
        </a>
      </div>
      {document.data === undefined ? null : (
        <Text size="sm" c="dimmed" mb="sm">
          {String((document.data.info as Schema | undefined)?.description ?? '')} {words.errors}
        </Text>
      )}
      <TextInput
        type="search"
        aria-label={words.search}
        placeholder={words.search}
        leftSection={<SearchIcon />}
        value={search}
        onChange={(event) => setSearch(event.currentTarget.value)}
        spellCheck={false}
      />
      <Problem error={document.error} />
      {document.isPending ? <Loading /> : null}
      {document.data !== undefined && shown.length === 0 ? <Empty title={words.none} /> : null}
      <ul className="calls" aria-label={words.calls}>
        {shown.map((operation) => (
          <Call key={`${operation.method} ${operation.path}`} operation={operation} />
        ))}
      </ul>
    </div>
  )
}

function Call({ operation }: { operation: Operation }) {
  const { method, path, summary, rule, parameters, body, answer, isStream } = operation
  const [isOpen, setOpen] = useState(false)
  return (
    <li className="card call">
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          <code className={`method ${method}`}>{method}</code> <code className="path">{path}</code>
          <span className="summary">{summary}</span>
        </summary>
        {isOpen ? (
          <div className="call-body">
            <Text size="sm">{ruleText(rule)}</Text>
            {parameters.length === 0 ? null : (
              <>
                <h3>{words.parameters}</h3>
                <pre>
                  {parameters
                    .map(
                      (each) =>
                        `${each.in} ${each.name}: ${schemaText(each.schema)}${each.required ? `, ${words.required}` : ''}`,
                    )
                    .join('\n')}
                </pre>
              </>
            )}
            {body === undefined ? null : (
              <>
                <h3>{words.body}</h3>
                <pre>{schemaText(body)}</pre>
              </>
            )}
            {answer === undefined ? null : (
              <>
                <h3>{isStream ? words.lines : words.answer}</h3>
                <pre>{schemaText(answer)}</pre>
              </>
            )}
          </div>
        ) : null}
      </details>
    </li>
  )
}

function ruleText(rule: unknown): string {
  if (rule === 'self') return words.self
  if (typeof rule !== 'object' || rule === null) return words.any
  const { resource, verb } = rule as Schema
  return words.needs(String(resource), String(verb))
}

const sectionOf = (value: unknown): Schema => (typeof value === 'object' && value !== null ? (value as Schema) : {})

/** The document is our own proxy's; what it lacks is shown as nothing. */
function operationsOf(document: Schema): Operation[] {
  return Object.entries(sectionOf(document.paths)).flatMap(([path, methods]) =>
    Object.entries(sectionOf(methods)).map(([method, value]) => {
      const operation = sectionOf(value)
      const content = (of: unknown) => sectionOf(sectionOf(of).content)
      const answers = content(sectionOf(operation.responses)['200'])
      const isStream = 'application/x-ndjson' in answers
      const body = content(operation.requestBody)['application/json']
      const answer = answers[isStream ? 'application/x-ndjson' : 'application/json']
      return {
        method: method.toUpperCase(),
        path,
        summary: String(operation.summary ?? ''),
        rule: operation['x-user-rule'],
        parameters: Array.isArray(operation.parameters) ? (operation.parameters as Operation['parameters']) : [],
        body: body === undefined ? undefined : sectionOf(sectionOf(body).schema),
        answer: answer === undefined ? undefined : sectionOf(sectionOf(answer).schema),
        isStream,
      }
    }),
  )
}
