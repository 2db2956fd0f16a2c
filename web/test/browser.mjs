// Headless Chromium with WebGPU on SwiftShader, and links that hold a recipe.

import { chromium } from 'playwright-core';

const FLAGS = ['--no-sandbox', '--enable-unsafe-webgpu', '--enable-features=Vulkan,WebGPU', '--use-webgpu-adapter=swiftshader',
  '--use-vulkan=swiftshader', '--use-angle=swiftshader', '--disable-background-networking', '--disable-component-update', '--no-first-run',
  '--disable-dev-shm-usage'];

export const launch = (more = []) => chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: [...FLAGS, ...more] });

/** The fragment of a link with this recipe. */
export const linked = recipe => '#' + Buffer.from(JSON.stringify(recipe)).toString('base64url');
