#!/usr/bin/env node
import { runOnPinnedNode } from './pinned-node.js';

await runOnPinnedNode('updater/main.ts');
