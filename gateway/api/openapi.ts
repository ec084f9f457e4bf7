// The description of the internal API (OpenAPI 3.1), made from the schemas that check it.

import { z } from 'zod'
import { REASONS } from '../close-reason.js'
import type { Route } from './route.js'
import { ProblemAnswer } from './schemas.js'

/** Shared schemas go to `#/components/schemas`. */
export function openApi(routes: readonly Route[], version: string): Record<string, unknown> {
  const schemas: Record<string, unknown> = {}
  const toSchema = (schema: z.ZodType, io: 'input' | 'output'): unknown => {
    const {
      $defs,
      $schema: _,
      ...root
    } = z.toJSONSchema(schema, { io, target: 'draft-2020-12', reused: 'inline' }) as Record<string, unknown>
    // Schemas with an id come under $defs, and the root then refers to them.
    for (const [id, definition] of Object.entries(($defs as Record<string, unknown>) ?? {})) schemas[id] = relocate(definition)
    return relocate(root)
  }
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operation(route, toSchema) }
  }
  toSchema(ProblemAnswer, 'output')
  return {
    openapi: '3.1.0',
    info: { title: 'Holdwire internal API', version, description: 'For backends and operators, on the internal port.' },
    paths,
    components: {
      schemas,
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'An API key; none is needed with `auth: dev`.' },
        apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
      },
    },
  }
}

function operation(route: Route, toSchema: (schema: z.ZodType, io: 'input' | 'output') => unknown): Record<string, unknown> {
  const { id, summary, key, scope, query, body, answer, path } = route
  const roles = scope === undefined ? [] : [scope]
  const inPath = path.includes('{user}') ? [{ name: 'user', in: 'path', required: true, schema: { type: 'string', minLength: 1 } }] : []
  const inHeader =
    id === 'push' ? [{ name: 'Idempotency-Key', in: 'header', description: 'The same as `id`.', schema: { type: 'string' } }] : []
  const content = answer === undefined ? {} : { content: { 'application/json': { schema: toSchema(answer, 'output') } } }
  return {
    operationId: id,
    summary,
    ...(scope === undefined ? {} : { description: `The API key needs the scope \`${scope}\`.` }),
    // Roles that the key must have (OpenAPI 3.1, Security Requirement Object).
    security: key === 'never' ? [] : [{ bearer: roles }, { apiKey: roles }],
    parameters: [...inPath, ...(query === undefined ? [] : queryParameters(query)), ...inHeader],
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: { 'application/json': { schema: toSchema(body, 'input') } } } }),
    responses: {
      200: { description: 'Done', ...content },
      default: {
        description: `Refused: ${[...new Set(Object.values(REASONS).map(({ http }) => http))].filter((status) => status >= 400).join(', ')}`,
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    },
  }
}

function queryParameters(query: z.ZodType): Record<string, unknown>[] {
  const { properties = {}, required = [] } = z.toJSONSchema(query, { io: 'output' })
  return Object.entries(properties).map(([name, property]) => {
    const { description, ...schema } = property as Record<string, unknown>
    return { name, in: 'query', required: required.includes(name), description, schema }
  })
}

/** zod puts shared schemas under `$defs`; here they are components. */
function relocate(schema: unknown): unknown {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/$defs/', '"#/components/schemas/')) as unknown
}
