import { componentNouns } from './texts.ts';

/** What people call a component. A component that is not known here keeps the name that the server gave it. */
export function nounOf(component: string): string {
  return componentNouns[component] ?? component;
}

/** `1.0.54` for the agent, which is what an appliance is for, and `updater 1.1.2` for any other component. */
export function nameOf(component: string, version: string): string {
  return component === 'app' ? version : `${component} ${version}`;
}

/** As an operator assigns it: for the agent the version alone. */
export function assignedAs(component: string, version: string): string {
  return component === 'app' ? version : `${version} --component ${component}`;
}
