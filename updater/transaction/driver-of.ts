import type { Component } from '../../protocol/component.ts';
import { app } from './drivers/app.ts';
import type { ComponentDriver } from './drivers/driver.ts';
import { os } from './drivers/os.ts';
import { updater } from './drivers/updater.ts';

const drivers: Readonly<Record<Component, ComponentDriver>> = { app, updater, os };

export function driverOf({ component }: { readonly component: Component }): ComponentDriver {
  return drivers[component];
}
