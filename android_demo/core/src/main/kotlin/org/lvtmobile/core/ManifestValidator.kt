package org.lvtmobile.core

/** Names of chips; they are also names of folders. */
private val SOC = Regex("[a-z0-9]+")

/** Checks that a manifest is consistent and that this code supports it. */
internal object ManifestValidator {
    /** Returns the first issue as one line, or null if the manifest is valid. */
    fun firstIssue(manifest: Manifest): String? =
        inputIssue(manifest)
            ?: preprocessingIssue(manifest.preprocessing)
            ?: labelIssue(manifest)
            ?: panopticIssue(manifest)
            ?: chipIssue(manifest)
            ?: PartsValidator.firstIssue(manifest)

    private fun inputIssue(manifest: Manifest): String? {
        val image = manifest.inputs.singleOrNull()
        val supported = image != null && listOf('H', 'W').all { (image.axisLength(it) ?: 0) > 0 }
        return when {
            !supported -> "the input must be one image of known height and width"
            image.dtype != "float32" -> "the file takes ${image.dtype}: quantize it without --integer-io"
            else -> null
        }
    }

    private fun preprocessingIssue(info: Manifest.PreprocessingInfo): String? {
        val supported = info.exifOrientation && info.color == "RGB" && info.layout == "NCHW" && info.dtype == "float32"
        return if (supported) null else "preprocessing must convert upright RGB pictures to NCHW float32"
    }

    private fun labelIssue(manifest: Manifest): String? {
        val labels = manifest.labels ?: return if (manifest.task == Task.BACKBONE) null else "labels are missing"
        val names = labels.names.size
        val colours = labels.colours.size
        val classes = manifest.model.classes
        return when {
            names != classes || colours != classes -> "$names names and $colours colours for $classes classes"
            labels.colours.any { it.size != Picture.CHANNELS } -> "a label colour must have 3 values: red, green, blue"
            else -> null
        }
    }

    private fun panopticIssue(manifest: Manifest): String? {
        if ((manifest.task == Task.PANOPTIC) != (manifest.model.panoptic != null)) {
            return "model.panoptic must exist for panoptic models, and for no other task"
        }
        val (things, stuff, fusion) = manifest.model.panoptic ?: return null
        val classes = manifest.model.classes
        return when {
            things + stuff != classes -> "$things things and $stuff stuff for $classes classes"
            things < 1 || stuff < 0 || classes >= INSTANCE_OFFSET ->
                "$things things and $stuff stuff are out of range for panoptic ids"
            fusion.maskThreshold <= 0 -> "mask_threshold must be greater than 0"
            else -> null
        }
    }

    private fun chipIssue(manifest: Manifest): String? {
        if (manifest.target == "qnn" && manifest.chips.isEmpty()) return "chips are missing"
        return manifest.chips.find { !SOC.matches(it.soc) }?.let { "'${it.soc}' is not the model number of a chip" }
    }
}
