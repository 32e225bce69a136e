import { once } from 'node:events'
import { request } from 'node:http'
import { request as requestTls } from 'node:https'
import { text } from 'node:stream/consumers'

export interface Answer {
  readonly status: number
  readonly headers: Record<string, string | string[] | undefined>
  readonly body: string
}

export interface Asking {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: string
  readonly localAddress?: string
  /** Certificate authority of an HTTPS page. */
  readonly ca?: Buffer
}

/** Uses Node's own client, because fetch sets Host and Sec-Fetch-* itself. */
export async function ask(url: string, options: Asking = {}): Promise<Answer> {
  const sent = (url.startsWith('https:') ? requestTls : request)(url, options).end(options.body)
  const [response] = await once(sent, 'response')
  return { status: response.statusCode, headers: response.headers, body: await text(response) }
}
