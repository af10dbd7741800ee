import crypto from 'crypto';

function verifySignature(body: string, header: string, secret: string): boolean {
const expected = crypto
  .createHmac('sha256', secret)
  .update(body)
  .digest('hex');
return crypto.timingSafeEqual(
  Buffer.from(`sha256=${expected}`),
  Buffer.from(header)
);
}

// Above is the publish document's receiver, letter for letter; below is what asks it.
import { readFileSync } from 'fs';

const asked: { body: string; header: string; secret: string }[] = JSON.parse(readFileSync(0, 'utf8'));
console.log(JSON.stringify(asked.map(({ body, header, secret }) => verifySignature(body, header, secret))));
