#!/usr/bin/env node
import { runOnPinnedNode } from './pinned-node.js';

await runOnPinnedNode('server-lite/cli/main.ts');
