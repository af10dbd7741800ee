import { connection } from 'next/server'
import { Suspense } from 'react'
import { FILTER, LIMIT } from './filter'
import { Notes } from './Notes'
import { Providers } from './Providers'
import { server } from './server'

export default function Page() {
  return (
    <main>
      <h1>Notes</h1>
      <Suspense fallback={<p className="empty">Listing…</p>}>
        <Listed />
      </Suspense>
    </main>
  )
}

/** The list as it is now, in the first answer. The browser follows the log from its newest event on. */
async function Listed() {
  await connection()
  const page = await server.events.page.query({ ...FILTER, limit: LIMIT })
  return (
    <Providers>
      <Notes page={page} />
    </Providers>
  )
}
