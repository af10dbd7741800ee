import { readFileSync } from 'node:fs'
import { env } from 'node:process'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'
import { keys } from './keys'

const url = env['SYNAP_URL'] ?? 'http://127.0.0.1:8000'
const token = () => env['SYNAP_TOKEN'] ?? readFileSync('../../data/control.token', 'utf8').trim()

export default defineConfig({
  define: { __SYNAP_URL__: JSON.stringify(url) },
  server: { host: '127.0.0.1', port: 3000, strictPort: true },
  preview: { host: '127.0.0.1', port: 3000, strictPort: true },
  plugins: [react(), keys({ url, token, seconds: Number(env['SYNAP_KEY_SECONDS'] ?? 60) })],
})
