package org.lvtmobile.core

/** Model numbers that `lvt-export --soc` may know. */
private val SNAPDRAGON = Regex("sm\\d+")

/** What Android tells of a chip that it does not know. */
private const val UNKNOWN = "unknown"

/**
 * The chip of this artifact that a phone has.
 *
 * @param socModel Android's `Build.SOC_MODEL`, for example `SM8650` or `SM8650-AC`; empty if Android does not tell.
 * @throws UserError the artifact is not compiled for the phone's chip: another chip's context does not run.
 */
internal fun Artifact.chip(socModel: String): Manifest.Chip {
    val soc = socModel.trim().lowercase().substringBefore('-')
    val chips = manifest.chips
    chips.find { it.soc == soc }?.let { return it }
    val compiled = "${file.name} is compiled for ${chips.joinToString { "${it.soc} (${it.name})" }}"
    if (soc.isEmpty() || soc == UNKNOWN) {
        throw UserError("$compiled, but Android does not tell this phone's chip; Android 12 and newer do")
    }
    val hint = if (SNAPDRAGON.matches(soc)) ": export it with --soc $soc" else ""
    throw UserError("$compiled, and this phone's chip is $soc$hint")
}
