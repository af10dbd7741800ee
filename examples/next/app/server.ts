// The client of the page's server. Its key makes keys: no component of the browser may import this file.
import { readFileSync } from 'node:fs'
import { createSynap } from '@synap/client'
import type { AppRouter } from '../contract'

export const server = createSynap<AppRouter>({
  url: process.env.NEXT_PUBLIC_SYNAP_URL ?? 'http://127.0.0.1:8000',
  token: () => process.env.SYNAP_TOKEN ?? readFileSync('../../data/control.token', 'utf8').trim(),
})
