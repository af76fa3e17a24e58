package org.lvtmobile.cli

import com.drew.imaging.ImageMetadataReader
import com.drew.imaging.ImageProcessingException
import com.drew.metadata.exif.ExifIFD0Directory
import org.lvtmobile.core.Picture
import org.lvtmobile.core.Size
import org.lvtmobile.core.UserError
import java.awt.image.BufferedImage
import java.awt.image.IndexColorModel
import java.io.File
import java.io.IOException
import javax.imageio.ImageIO

/**
 * A picture file as upright RGB, as `read_image` of `lvt/data/images.py` gives it: values as they
 * are stored, without colour management; transparency is left away.
 *
 * @throws UserError no such file, or it cannot be read as a picture of 8 bits a channel.
 */
internal fun readImage(file: File): Picture {
    if (!file.isFile) throw UserError("no image at $file")
    val image = try {
        ImageIO.read(file)
    } catch (error: IOException) {
        throw UserError("cannot read $file as an image: ${error.message}", error)
    } ?: throw UserError("cannot read $file as an image: its format is not known")
    return pixels(image, file).upright(orientation(file))
}

private fun pixels(image: BufferedImage, file: File): Picture {
    val size = Size(image.height, image.width)
    val raster = image.raster
    val grey = raster.numBands <= 2
    val palette = image.colorModel as? IndexColorModel
    if (palette == null && raster.sampleModel.sampleSize.any { it != Byte.SIZE_BITS }) {
        throw UserError("cannot read $file as an image: it does not have 8 bits a channel")
    }
    val rgb = ByteArray(Picture.CHANNELS * size.area)
    val pixel = IntArray(raster.numBands)
    for (index in 0 until size.area) {
        raster.getPixel(index % size.width, index / size.width, pixel)
        for (c in 0 until Picture.CHANNELS) {
            rgb[Picture.CHANNELS * index + c] = when {
                palette != null -> palette.getRGB(pixel[0]) shr 8 * (2 - c)
                grey -> pixel[0]
                else -> pixel[c]
            }.toByte()
        }
    }
    return Picture(size, rgb)
}

/** EXIF's, 1 where there is none. */
private fun orientation(file: File): Int {
    val metadata = try {
        ImageMetadataReader.readMetadata(file)
    } catch (error: ImageProcessingException) {
        throw UserError("cannot read the metadata of $file: ${error.message}", error)
    }
    val tag = metadata.getFirstDirectoryOfType(ExifIFD0Directory::class.java)
        ?.getInteger(ExifIFD0Directory.TAG_ORIENTATION)
    return tag?.takeIf { it in 1..8 } ?: 1
}
