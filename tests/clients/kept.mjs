// Verifies texts with a stored checkpoint by clients/verify. Reads JSON lines of {text, checkpoint, consistency?}, and
// answers each with a verdict.
import { createInterface } from 'node:readline';
import { verify } from '../../clients/verify/verify.mjs';

for await (const line of createInterface({ input: process.stdin })) {
  const { text, ...given } = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(await verify(text, given))}\n`);
}
