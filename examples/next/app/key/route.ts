import { server } from '../server'

const seconds = Number(process.env.SYNAP_KEY_SECONDS ?? 60)

/** Hands out a key that ends soon. A real route first finds out who asks, and makes the key for that user. */
export async function POST(): Promise<Response> {
  try {
    const key = await server.keys.create.mutate({ scopes: ['events:read', 'events:write'], expiresInSeconds: seconds })
    return new Response(key.token, { headers: { 'cache-control': 'no-store' } })
  } catch {
    return new Response('no key is available now', { status: 503 })
  }
}
