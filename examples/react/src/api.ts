import { createSynap } from '@synap/client'
import type { AppRouter } from './contract'

declare const __SYNAP_URL__: string

/** Tells how many keys the page has had. */
export const keysIssued = { count: 0, changed: () => {} }

/** A key that lives for a minute. The client asks for one when it needs one, and again when that has ended. */
async function token(): Promise<string> {
  const answer = await fetch('/key', { cache: 'no-store' })
  if (!answer.ok) throw new Error(`No key: ${await answer.text()}`)
  keysIssued.count += 1
  keysIssued.changed()
  return answer.text()
}

export const api = createSynap<AppRouter>({ url: __SYNAP_URL__, token })
