// What clients/verify says of each text on standard input with a kept checkpoint: JSON lines of
// {text, checkpoint, consistency?}, each answered with a verdict.
import { createInterface } from 'node:readline';
import { verify } from '../../clients/verify/verify.mjs';

for await (const line of createInterface({ input: process.stdin })) {
  const { text, ...given } = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(await verify(text, given))}\n`);
}
