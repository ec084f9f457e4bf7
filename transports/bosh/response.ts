// Response bodies: `<body/>` with its attributes around its payloads.

import { escapeAttribute, STREAMS_NS } from '../../proto/xml/element.js'
import { BOSH_NS } from '../../proto/xml/namespaces.js'

export const DEFAULT_CONTENT_TYPE = 'text/xml; charset=utf-8'

const OPEN = `<body xmlns='${BOSH_NS}'`

export const EMPTY_BODY: Buffer = Buffer.from(`${OPEN}/>`)
/** XEP-0124 §17.3: the client repeats what was not answered. */
export const RECOVERABLE_BODY: Buffer = Buffer.from(`${OPEN} type='error'/>`)

/** ` name='value'` for each that is there. */
export function attributeText(attributes: Readonly<Record<string, string | number | undefined>>): string {
  let text = ''
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) text += ` ${name}='${typeof value === 'number' ? value : escapeAttribute(value)}'`
  }
  return text
}

/** `attributes`: from attributeText. `payload`: elements as XML, one after the other. */
export function bodyBytes(attributes: string, payload: string): Buffer {
  if (payload === '') return attributes === '' ? EMPTY_BODY : Buffer.from(`${OPEN}${attributes}/>`)
  // XEP-0206 §2: the wrapper of features and stream errors declares their prefix.
  const streams = payload.includes('<stream:') ? ` xmlns:stream='${STREAMS_NS}'` : ''
  return Buffer.from(`${OPEN}${streams}${attributes}>${payload}</body>`)
}
