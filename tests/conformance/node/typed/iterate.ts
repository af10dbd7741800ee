// Streams as loops, which the newest client has and the oldest has not. Usage: iterate.js URL TOKEN
import { createTRPCClient, wsLink } from '@trpc/client'
import type { AppRouter } from './contract'
import { transformer } from './options.js'
import { filter, isLogged, open, plain } from './stream.js'

const sockets = open()
const overSocket = createTRPCClient<AppRouter>({ links: [wsLink({ client: sockets, ...transformer })] })

for (const { events } of [plain.SSE, overSocket]) {
  for await (const value of events.stream.subscribe(filter)) {
    isLogged(value)
    break
  }
}

await sockets.close()
