package org.lvtmobile.core

/** What of a manifest this code cannot do, or no manifest can mean; null if there is nothing. */
internal fun complaint(manifest: Manifest): String? =
    ofInput(manifest) ?: ofPreprocessing(manifest.preprocessing) ?: ofLabels(manifest) ?: ofPanoptic(manifest)

private fun ofInput(manifest: Manifest): String? {
    val image = manifest.inputs.singleOrNull()
    val known = image != null && listOf('H', 'W').all { (image.side(it) ?: 0) > 0 }
    return if (known) null else "one image of known height and width is expected as input"
}

private fun ofPreprocessing(info: Manifest.PreprocessingInfo): String? {
    val known = info.exifOrientation && info.color == "RGB" && info.layout == "NCHW" && info.dtype == "float32"
    return if (known) null else "preprocessing other than of upright RGB pictures to NCHW float32 is not known"
}

private fun ofLabels(manifest: Manifest): String? {
    val labels = manifest.labels ?: return if (manifest.task == Task.BACKBONE) null else "it has no labels"
    val names = labels.names.size
    val colours = labels.colours.size
    val classes = manifest.model.classes
    return when {
        names != classes || colours != classes -> "$names names and $colours colours for $classes classes"
        labels.colours.any { it.size != Picture.CHANNELS } -> "a colour is not red, green, blue"
        else -> null
    }
}

private fun ofPanoptic(manifest: Manifest): String? {
    if ((manifest.task == Task.PANOPTIC) != (manifest.model.panoptic != null)) {
        return "a panoptic configuration is missing, or there for another task"
    }
    val (things, stuff, fusion) = manifest.model.panoptic ?: return null
    val classes = manifest.model.classes
    return when {
        things + stuff != classes -> "$things things and $stuff stuff for $classes classes"
        things < 1 || stuff < 0 || classes >= INSTANCE_OFFSET ->
            "$things things and $stuff stuff do not fit panoptic ids"
        fusion.maskThreshold <= 0 -> "mask_threshold must be above 0"
        else -> null
    }
}
