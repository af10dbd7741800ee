// Hands out keys that live for a minute, as a backend of yours does: the page never sees the key that makes them.
import { createSynap } from '@synap/client'
import type { Plugin, PreviewServer, ViteDevServer } from 'vite'
import type { AppRouter } from './src/contract'

interface KeyOptions {
  url: string
  token: () => string
  seconds: number
}

/** Serves `/key`. A real route first finds out who asks, and makes the key for that user. */
export function keys({ url, token, seconds }: KeyOptions): Plugin {
  const api = createSynap<AppRouter>({ url, token })
  const serve = ({ middlewares }: ViteDevServer | PreviewServer) => {
    middlewares.use('/key', (_, response) => {
      api.keys.create.mutate({ scopes: ['events:read', 'events:write'], expiresInSeconds: seconds }).then(
        (key) => response.setHeader('cache-control', 'no-store').end(key.token),
        (error: Error) => {
          response.statusCode = 503
          response.end(error.message)
        },
      )
    })
  }
  return { name: 'keys', configureServer: serve, configurePreviewServer: serve }
}
