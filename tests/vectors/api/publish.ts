const body = {
  type: 'code.tests.passed',
  source: 'build-7',
  data: { suite: 'checkout', passed: 72, failed: 0 },
  metadata: { correlationId: 'build-7-run-3', orgId: 'org_xyz' },
}
await fetch('https://events.example/v1/events', {
  method: 'POST',
  headers: { Authorization: 'Bearer YOUR_API_KEY', 'Content-Type': 'application/json' },
  body: JSON.stringify(body),
})
