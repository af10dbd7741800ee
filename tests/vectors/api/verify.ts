import { createHmac, timingSafeEqual } from 'node:crypto'

/** Whether a delivery's `X-Signature` is that of its raw body. */
function isOurs(rawBody: string, signature: string, secret: string): boolean {
  const wanted = Buffer.from(`sha256=${createHmac('sha256', secret).update(rawBody).digest('hex')}`)
  const found = Buffer.from(signature)
  return wanted.length === found.length && timingSafeEqual(wanted, found)
}
