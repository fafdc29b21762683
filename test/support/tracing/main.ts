import { writeFileSync } from 'node:fs';
import { registerHooks } from 'node:module';

/** `--import` this: at the end of the process, what it loaded is in the file that HOLDFAST_TEST_LOADED names, and its CPU time. */
const urls: string[] = [];
registerHooks({
  load: (url, context, next) => {
    urls.push(url);
    return next(url, context);
  },
});
const file = process.env.HOLDFAST_TEST_LOADED ?? '';
process.on('exit', () => {
  writeFileSync(file, JSON.stringify({ urls, cpu: process.cpuUsage() }));
});
